//! What subs mean: set as a whole, for the network or for one publisher, and never forgotten.

use super::*;
use crate::setup::Setup;

fn set_labels(publisher_id: Option<PublisherId>, labels: &[(&str, &str)]) -> Act {
    let labels = labels.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Act::SetSubLabels { publisher_id, labels: labels.collect() }
}

fn headings(setup: &Setup, publisher_id: Option<PublisherId>) -> Vec<String> {
    headings_at(setup, publisher_id, Timestamp::MAX)
}

fn headings_at(setup: &Setup, publisher_id: Option<PublisherId>, at: Timestamp) -> Vec<String> {
    let all = setup.sub_headings(publisher_id, at).into_iter();
    all.map(|(name, meaning)| format!("{name}={meaning}")).collect()
}

#[test]
fn a_publishers_meanings_go_before_the_networks() {
    let mut world = world();
    let one = Some(PublisherId(1));
    world.act(set_labels(None, &[("sub1", "Site"), ("sub2", "Creative")]));
    world.act(set_labels(one, &[("sub2", "Banner"), ("sub10", "Gclid")]));
    assert_eq!(headings(&world.setup, None), ["sub1=Site", "sub2=Creative"]);
    assert_eq!(headings(&world.setup, one), ["sub1=Site", "sub10=Gclid", "sub2=Banner"]);
    assert_eq!(headings(&world.setup, Some(PublisherId(2))), ["sub1=Site", "sub2=Creative"]);
    world.act(set_labels(None, &[("sub3", "Keyword")]));
    assert_eq!(headings(&world.setup, None), ["sub3=Keyword"]);
    let history = &world.setup.sub_labels[&None];
    assert_eq!(history.versions().count(), 2, "what was said before stays");
    let before = history.changed_at().plus_us(-1);
    let both = ["sub1=Site", "sub2=Creative"];
    assert_eq!(headings_at(&world.setup, None, before), both);
    assert_eq!(headings_at(&world.setup, None, history.changed_at()), ["sub3=Keyword"]);
    assert_eq!(headings_at(&world.setup, None, Timestamp::UNIX_EPOCH), both, "the first");
}

#[test]
fn a_meaning_is_a_short_line_of_text() {
    let world = &mut world();
    let long = "x".repeat(61);
    let wrong = [
        ("sub0", "Site"),
        ("sub11", "Site"),
        ("source", "Site"),
        ("sub1", ""),
        ("sub1", " Site"),
        ("sub1", "a\nb"),
        ("sub1", &long),
    ];
    for (name, text) in wrong {
        let failure = world.attempt(&set_labels(None, &[(name, text)])).unwrap_err();
        assert_eq!(failure.parameter.as_deref(), Some(name), "{text:?}");
    }
    world.act(set_labels(None, &[("sub1", &long[1..])]));
    let failure = world.attempt(&set_labels(Some(PublisherId(9)), &[])).unwrap_err();
    assert_eq!(failure.code, "not_found");
}

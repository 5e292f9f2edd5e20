//! The parameters on the page of a contract: a row for each, and one for a whole row of numbered
//! ones that are alike.

use super::document::{Block, Section, section as titled};
use domain::contract::{Canonical, Contract, Parameter, Unit, words};

/// How many numbered ones in a row are told as one.
const RUN_MIN: usize = 3;

pub(super) fn section(contract: &Contract) -> Section {
    let head = vec!["Name", "Means", "Required", "Bytes at most", "Values"];
    let rows = runs(&contract.parameters).into_iter().map(|run| row(contract, run)).collect();
    titled("Parameters", vec![Block::Table(head, rows), Block::List(rules(contract))])
}

fn rules(contract: &Contract) -> Vec<String> {
    let mut rules = vec![
        "Names are case-sensitive. Values are UTF-8, percent-encoded in a URL or a form. Blanks \
         around a value are taken away; a blank value is as good as none."
            .to_owned(),
        "Two values for one thing that differ are refused. Names that are not here do no harm."
            .to_owned(),
        "A value that is too long is refused, never cut; one that only describes is left out."
            .to_owned(),
        "A macro that was not replaced is refused, or left out where it only describes.".to_owned(),
    ];
    let is_money = |parameter: &Parameter| parameter.canonical.is_money();
    if contract.parameters.iter().any(is_money) {
        let plain = "An amount is digits, with a point before its decimals: no sign of a currency, \
            no comma, no exponent.";
        rules.push(plain.to_owned());
    }
    if let Some(currency) = contract.currency {
        rules.push(format!("Amounts are in {currency}, where a postback does not say otherwise."));
    }
    if !contract.unreplaced.is_empty() {
        let all = words::listed(&contract.unreplaced, "or");
        rules.push(format!("{all} stands for no value."));
    }
    rules
}

/// The parameters in their order, numbered ones that are alike together.
fn runs(all: &[Parameter]) -> Vec<&[Parameter]> {
    let mut runs = Vec::new();
    for run in all.chunk_by(follows) {
        if run.len() >= RUN_MIN {
            runs.push(run);
        } else {
            runs.extend(run.chunks(1));
        }
    }
    runs
}

/// The next number of what is otherwise alike, by what it means and by each of its names.
fn follows(one: &Parameter, next: &Parameter) -> bool {
    use Canonical::{Event, Param, Sub};
    let is_next = match (one.canonical, next.canonical) {
        (Sub(a), Sub(b)) | (Param(a), Param(b)) | (Event(a), Event(b)) => b == a + 1,
        _ => false,
    };
    let shape = |parameter: &Parameter| {
        let Parameter { in_header, required, in_url, max_length, unit, .. } = *parameter;
        (in_header, required, in_url, max_length, unit)
    };
    is_next
        && shape(one) == shape(next)
        && one.allowed == next.allowed
        && one.names.len() == next.names.len()
        && one.names.iter().zip(&next.names).all(|(one, next)| is_numbered(one, next))
}

/// `sub_1` and `sub_2`, `p9` and `p10`.
fn is_numbered(one: &str, next: &str) -> bool {
    let stem = one.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let number: Option<u64> = one[stem.len()..].parse().ok();
    number.and_then(|number| number.checked_add(1)).is_some_and(|number| {
        next.strip_prefix(stem).is_some_and(|rest| rest == number.to_string())
    })
}

fn row(contract: &Contract, run: &[Parameter]) -> Vec<String> {
    let [first, .., last] = run else {
        let one = &run[0];
        let meaning = match one.canonical {
            Canonical::Payout if contract.payout_may_be_revenue => {
                "what you pay us for it; beside a revenue, what our publisher gets".to_owned()
            }
            canonical => words::meaning(canonical),
        };
        return told(contract, one, names(one), meaning);
    };
    let meaning = match (first.canonical, last.canonical) {
        (Canonical::Sub(a), Canonical::Sub(b)) => {
            format!("labels {a} to {b} of the click, sent back")
        }
        (Canonical::Event(a), Canonical::Event(b)) => {
            format!("numbers that are kept on the click: events {a} to {b}")
        }
        (Canonical::Param(a), Canonical::Param(b)) => {
            format!("values of your own, numbers {a} to {b}")
        }
        _ => words::meaning(first.canonical),
    };
    told(contract, first, format!("{} … {}", names(first), names(last)), meaning)
}

fn told(contract: &Contract, parameter: &Parameter, names: String, meaning: String) -> Vec<String> {
    let length = parameter.length_max().to_string();
    vec![names, meaning, required(contract, parameter).to_owned(), length, values(parameter)]
}

fn names(parameter: &Parameter) -> String {
    let names = words::listed(&parameter.names, "or");
    if parameter.in_header { format!("header {names}") } else { names }
}

fn required(contract: &Contract, parameter: &Parameter) -> &'static str {
    let rules = &contract.verification;
    let canonical = parameter.canonical;
    let is_proof = rules.token == Some(canonical)
        || canonical == Canonical::Signature && rules.signature.is_some();
    match (parameter.required, is_proof) {
        (true, _) => "yes",
        (false, true) if rules.token_required => "yes",
        (false, true) => "once it is agreed on",
        (false, false) => "no",
    }
}

fn values(parameter: &Parameter) -> String {
    match parameter.canonical {
        _ if !parameter.allowed.is_empty() => {
            format!("{}, in any case", words::listed(&parameter.allowed, "or"))
        }
        Canonical::ClickId => "as we gave it".to_owned(),
        Canonical::Status => "see Status words".to_owned(),
        Canonical::Goal | Canonical::EventType => "see Goals".to_owned(),
        Canonical::Currency => "ISO 4217, such as `USD`".to_owned(),
        Canonical::Timestamp => "see Time".to_owned(),
        Canonical::Token | Canonical::Signature => "see Proof of the sender".to_owned(),
        Canonical::Event(_) | Canonical::CampaignId => "a number".to_owned(),
        canonical if canonical.is_money() => match parameter.unit {
            Unit::Decimal => "an amount such as `2.35`".to_owned(),
            Unit::Minor => "whole minor units: `235` is 2.35".to_owned(),
        },
        _ => "any text".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(written: &str) -> Vec<Parameter> {
        let one = |line: &str| {
            let (canonical, names) = line.split_once(' ').unwrap();
            let names: Vec<&str> = names.split(' ').collect();
            let value = serde_json::json!({ "canonical": canonical, "names": names });
            serde_json::from_value(value).unwrap()
        };
        written.split(", ").map(one).collect()
    }

    #[test]
    fn numbered_parameters_that_are_alike_are_one_row() {
        let lengths = |all: &[Parameter]| runs(all).iter().map(|run| run.len()).collect::<Vec<_>>();
        for (written, wanted) in [
            ("click_id cid, sub1 s1, sub2 s2, sub3 s3, txn_id t", &[1, 3, 1][..]),
            ("sub1 s1, sub2 s2", &[1, 1]),
            ("param8 a8 b_1, param9 a9 b_2, param10 a10 b_3", &[3]),
            ("param1 a1 b, param2 a2 c, param3 a3 d", &[1, 1, 1]),
            ("sub1 s1, sub2 s2, sub3 s3, param1 s4, param2 s5, param3 s6", &[3, 3]),
            ("sub1 s1, sub3 s2, sub4 s3, sub5 s4", &[1, 3]),
            ("sub1 s01, sub2 s02, sub3 s03", &[1, 1, 1]),
        ] {
            assert_eq!(lengths(&parameters(written)), wanted, "{written}");
        }
        let mut unlike = parameters("sub1 s1, sub2 s2, sub3 s3");
        unlike[1].required = true;
        assert_eq!(lengths(&unlike), [1, 1, 1]);
    }

    #[test]
    fn the_largest_number_has_none_after_it() {
        assert!(!is_numbered("s18446744073709551615", "s0"));
        assert!(!is_numbered("s99999999999999999999", "s100000000000000000000"));
        assert!(!is_numbered("s", "s1"));
    }
}

//! The catalogue: how known platforms speak, one TOML file each, built into the program.
//!
//! The files are `partners/*.toml`; `docs/partners.md` has their format. A file that does not read
//! is a mistake of this build, not of an operator, so a test reads them all, and each complaint
//! names file, line and key.

use domain::contract::{
    Answers, Canonical, Contract, Identity, Parameter, Partner, Repeats, Statuses, Unit,
    Verification,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use toml::Spanned;

/// What stands for the number in the names and the macro of a range of parameters.
const NUMBER: &str = "{n}";
/// What stands between the first and the last of a range.
const RANGE: &str = "..";

/// Every file of `partners/`, by its name.
const FILES: [(&str, &str); 6] = [
    ("clickwall.toml", include_str!("../../../partners/clickwall.toml")),
    ("counterfoil.toml", include_str!("../../../partners/counterfoil.toml")),
    ("kiwiwall.toml", include_str!("../../../partners/kiwiwall.toml")),
    ("peerclick.toml", include_str!("../../../partners/peerclick.toml")),
    ("pushground.toml", include_str!("../../../partners/pushground.toml")),
    ("trackier.toml", include_str!("../../../partners/trackier.toml")),
];

/// All partners of this build, in the order of their names.
pub(crate) fn partners() -> Vec<Partner> {
    let partners = FILES.iter().map(|(file, text)| read(file, text));
    partners.collect::<Result<_, _>>().expect("a test reads every file of the catalogue")
}

/// What is wrong with a file of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    file: String,
    /// From 1 on.
    line: usize,
    /// What stands before the line's `=`, or the table it opens.
    key: String,
    detail: String,
}

impl Fault {
    fn new(file: &str, text: &str, span: Option<Range<usize>>, detail: impl Into<String>) -> Self {
        let start = span.map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let content = text.lines().nth(line - 1).unwrap_or_default();
        let key = content.split('=').next().unwrap_or_default();
        let key = key.trim().trim_matches(['[', ']']).to_owned();
        Self { file: file.to_owned(), line, key, detail: detail.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partners/{}:{}: {}: {}", self.file, self.line, self.key, self.detail)
    }
}

/// A file as it is written: a [`Partner`] whose parameters may be ranges.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    title: String,
    kind: String,
    source: String,
    source_on: String,
    #[serde(default)]
    paths: Vec<Spanned<String>>,
    contract: Spanned<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    parameters: Vec<Spanned<WrittenParameter>>,
    statuses: Statuses,
    #[serde(default)]
    goals: BTreeMap<String, String>,
    #[serde(default)]
    identity: Identity,
    #[serde(default)]
    repeats: Repeats,
    #[serde(default)]
    txn_id_folded: bool,
    #[serde(default)]
    payout_may_be_revenue: bool,
    #[serde(default)]
    unreplaced: Vec<String>,
    #[serde(default)]
    verification: Verification,
    #[serde(default)]
    answers: Answers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenParameter {
    canonical: Spanned<String>,
    names: Spanned<Vec<String>>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    in_url: bool,
    #[serde(default, rename = "macro")]
    placeholder: Option<String>,
    #[serde(default)]
    max_length: Option<usize>,
    #[serde(default)]
    allowed: Vec<String>,
    #[serde(default)]
    unit: Unit,
}

fn read(file: &str, text: &str) -> Result<Partner, Fault> {
    let read: File = toml::from_str(text)
        .map_err(|error| Fault::new(file, text, error.span(), error.message()))?;
    let fault = |span, detail: String| Fault::new(file, text, Some(span), detail);
    if file.strip_suffix(".toml") != Some(read.name.get_ref()) {
        return Err(fault(read.name.span(), "a file is called as its partner is".to_owned()));
    }
    if let Some(path) = read.paths.iter().find(|path| !path.get_ref().starts_with('/')) {
        return Err(fault(path.span(), "a path begins with a slash".to_owned()));
    }
    let contract_span = read.contract.span();
    let written = read.contract.into_inner();
    let mut parameters = Vec::new();
    let mut spans = Vec::new();
    for parameter in written.parameters {
        let span = parameter.get_ref().canonical.span();
        for one in parameter.into_inner().expand().map_err(|(span, why)| fault(span, why))? {
            parameters.push(one);
            spans.push(span.clone());
        }
    }
    let contract = Contract {
        parameters,
        statuses: written.statuses,
        goals: written.goals,
        identity: written.identity,
        repeats: written.repeats,
        txn_id_folded: written.txn_id_folded,
        payout_may_be_revenue: written.payout_may_be_revenue,
        unreplaced: written.unreplaced,
        verification: written.verification,
        answers: written.answers,
        ..Contract::default()
    };
    if let Some((place, detail)) = contract.parameter_fault() {
        return Err(fault(spans[place].clone(), detail));
    }
    if let Some(detail) = contract.fault() {
        return Err(fault(contract_span, detail));
    }
    Ok(Partner {
        name: read.name.into_inner(),
        title: read.title,
        kind: read.kind,
        source: read.source,
        source_on: read.source_on,
        paths: read.paths.into_iter().map(Spanned::into_inner).collect(),
        contract,
    })
}

impl WrittenParameter {
    /// One parameter, or each of a range.
    fn expand(self) -> Result<Vec<Parameter>, (Range<usize>, String)> {
        let span = self.canonical.span();
        let canonicals = range(self.canonical.get_ref()).map_err(|why| (span.clone(), why))?;
        let is_range = canonicals.len() > 1;
        let names = self.names.get_ref();
        if let Some(name) = names.iter().find(|name| is_range && !name.contains(NUMBER)) {
            let why = format!("`{name}` names a range, so it has {NUMBER} in it");
            return Err((self.names.span(), why));
        }
        let parameters = canonicals.into_iter().map(|(number, canonical)| {
            let filled = |text: &String| text.replace(NUMBER, &number);
            Parameter {
                canonical,
                names: names.iter().map(filled).collect(),
                in_header: false,
                required: self.required,
                in_url: self.in_url,
                placeholder: self.placeholder.as_ref().map(filled),
                max_length: self.max_length,
                allowed: self.allowed.clone(),
                unit: self.unit,
            }
        });
        Ok(parameters.collect())
    }
}

/// The canonical parameters of `sub1..sub10`, each with its number; of `click_id`, itself.
fn range(text: &str) -> Result<Vec<(String, Canonical)>, String> {
    let canonical = |name: &str| Canonical::try_from(name.to_owned());
    let Some((first, last)) = text.split_once(RANGE) else {
        return Ok(vec![(NUMBER.to_owned(), canonical(text)?)]);
    };
    canonical(first)?;
    canonical(last)?;
    let stem = first.trim_end_matches(|digit: char| digit.is_ascii_digit());
    let number = |name: &str| name.strip_prefix(stem).and_then(|digits| digits.parse::<u8>().ok());
    let (Some(from), Some(to)) = (number(first), number(last)) else {
        return Err(format!("`{text}` is no range such as `sub1{RANGE}sub10`"));
    };
    if from >= to {
        return Err(format!("`{text}` ends before it begins"));
    }
    (from..=to).map(|n| Ok((n.to_string(), canonical(&format!("{stem}{n}"))?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::contract::Meaning;
    use domain::conversion::Status;
    use domain::macros;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    #[test]
    fn every_file_is_built_in_and_reads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../partners");
        let mut files: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        assert_eq!(files, FILES.map(|(file, _)| file));
        for (file, text) in FILES {
            if let Err(fault) = read(file, text) {
                panic!("{fault}");
            }
        }
    }

    #[test]
    fn the_manuals_example_reads() {
        let manual = include_str!("../../../docs/partners.md");
        let (_, after) = manual.split_once("```toml\n").unwrap();
        let (example, _) = after.split_once("```").unwrap();
        let partner = read("example.toml", example).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(partner.contract.parameters.len(), 17);
    }

    #[test]
    fn no_two_partners_share_a_name_or_a_path() {
        let partners = partners();
        let names: BTreeSet<&str> = partners.iter().map(|partner| &*partner.name).collect();
        assert_eq!(names.len(), partners.len());
        let paths: Vec<&str> =
            partners.iter().flat_map(|partner| &partner.paths).map(String::as_str).collect();
        assert_eq!(paths.len(), paths.iter().collect::<BTreeSet<_>>().len());
        for path in paths {
            let is_ours = path.starts_with("/postback") || path.ends_with("/postback");
            assert!(!is_ours, "{path} is taken by keys");
        }
    }

    /// A sender who pastes our URL as it is must be told so, not recorded.
    #[test]
    fn every_macro_we_hand_out_is_spotted_when_it_comes_back() {
        for partner in partners() {
            for parameter in &partner.contract.parameters {
                if let Some(placeholder) = &parameter.placeholder {
                    let is_spotted = macros::is_unreplaced(placeholder, &[]);
                    assert!(is_spotted, "{}: {placeholder}", partner.name);
                }
                let is_filled_in = parameter.canonical == Canonical::CampaignId;
                let needs_one = parameter.in_url && !is_filled_in;
                assert!(!needs_one || parameter.placeholder.is_some(), "{parameter:?}");
            }
        }
    }

    #[test]
    fn every_partner_says_where_its_facts_are_from() {
        for partner in partners() {
            assert!(!partner.title.is_empty() && !partner.kind.is_empty(), "{}", partner.name);
            let (platform, guide) = partner.source.split_once(": ").unwrap();
            assert!(platform.starts_with(&partner.title) && !guide.is_empty(), "{}", partner.name);
            let read_on: jiff::civil::Date = partner.source_on.parse().unwrap();
            assert_eq!(read_on.to_string(), partner.source_on);
        }
    }

    /// What a partner agrees on, a line each, without what it has nothing of.
    fn agreed(partner: &Partner) -> String {
        let contract = &partner.contract;
        let names = |is_meant: &dyn Fn(&Parameter) -> bool| {
            let meant = contract.parameters.iter().filter(|one| is_meant(one));
            meant.map(Parameter::name).collect::<Vec<_>>().join(", ")
        };
        let of = |canonical| names(&|one| one.canonical == canonical);
        let yes = |is: bool| if is { "yes".to_owned() } else { String::new() };
        let lines = [
            ("required", names(&|one| one.required)),
            ("status absent", contract.statuses.absent.map_or("refused", Status::name).to_owned()),
            ("revenue", of(Canonical::Revenue)),
            ("payout", of(Canonical::Payout)),
            ("payout may be revenue", yes(contract.payout_may_be_revenue)),
            ("sale amount", of(Canonical::SaleAmount)),
            ("goal", of(Canonical::Goal)),
            ("event type", of(Canonical::EventType)),
            ("txn_id", of(Canonical::TxnId)),
            ("token", contract.verification.token.map_or_else(String::new, of)),
            ("token required", yes(contract.verification.token_required)),
            ("identity", format!("{:?}", contract.identity)),
            ("answers", format!("{:?}", contract.answers.profile)),
            ("paths", partner.paths.join(", ")),
            ("in the URL", names(&|one| one.in_url)),
            ("parameters", contract.parameters.len().to_string()),
        ];
        let lines = lines.iter().filter(|(_, is)| !is.is_empty());
        let lines: Vec<String> = lines.map(|(what, is)| format!("  {what}: {is}")).collect();
        format!("{}\n{}", partner.name, lines.join("\n"))
    }

    #[test]
    fn the_partners_are_as_agreed() {
        let table = partners().iter().map(agreed).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(table, @r"
        clickwall
          required: click_id, campaign_id
          status absent: approved
          sale amount: sale_amount
          txn_id: txn_id
          identity: Click
          answers: Receipt
          in the URL: click_id, campaign_id
          parameters: 5
        counterfoil
          required: click_id
          status absent: approved
          revenue: revenue
          payout: payout
          sale amount: sale_amount
          goal: goal
          event type: event_type
          txn_id: txn_id
          token: token
          identity: ClickGoalTxn
          answers: Receipt
          in the URL: click_id, txn_id, status, revenue
          parameters: 76
        kiwiwall
          required: click_id, txn_id, status, signature
          status absent: refused
          revenue: revenue
          payout: payout
          payout may be revenue: yes
          event type: event_type
          txn_id: txn_id
          token: signature
          token required: yes
          identity: ClickGoalTxn
          answers: Receipt
          in the URL: click_id, txn_id, status, payout, signature
          parameters: 17
        peerclick
          required: cid
          status absent: approved
          revenue: payout
          txn_id: txid
          identity: ClickGoalTxn
          answers: Receipt
          in the URL: cid, payout, status, txid
          parameters: 56
        pushground
          required: click_id
          status absent: approved
          revenue: amount
          identity: Click
          answers: Acknowledge
          paths: /conversion
          in the URL: click_id, amount
          parameters: 2
        trackier
          required: click_id
          status absent: approved
          revenue: revenue
          sale amount: sale_amount
          goal: goal_value
          txn_id: txn_id
          token: security_token
          identity: ClickGoalTxn
          answers: Receipt
          in the URL: click_id, txn_id, revenue, status
          parameters: 18
        ");
    }

    #[test]
    fn statuses_are_the_words_of_the_guides() {
        let mut lines = Vec::new();
        for partner in partners() {
            let statuses = &partner.contract.statuses;
            let blank = statuses.blank.or(statuses.absent).map_or("refused", Status::name);
            lines.push(format!("{}\n  blank: {blank}", partner.name));
            for (status, raws) in &statuses.values {
                lines.push(format!("  {}: {}", status.name(), raws.join(", ")));
                for raw in raws {
                    let meaning = statuses.meaning(&raw.to_uppercase());
                    assert_eq!(meaning, Meaning::Status(*status), "{raw}");
                }
            }
            if !statuses.ignore.is_empty() {
                lines.push(format!("  ignored: {}", statuses.ignore.join(", ")));
            }
        }
        let table = lines.join("\n");
        insta::assert_snapshot!(table, @r"
        clickwall
          blank: approved
          pending: pending
          approved: approved
          rejected: rejected
          reversed: reversed
        counterfoil
          blank: approved
          pending: pending
          approved: approved
          rejected: rejected
          reversed: reversed
        kiwiwall
          blank: refused
          pending: pending
          approved: approved, 1
          rejected: rejected
          reversed: reversed, 2
        peerclick
          blank: approved
          pending: pending, hold
          approved: approved, sale, start, rebill, buy out
          rejected: rejected, reject
          reversed: reversed
          ignored: stop
        pushground
          blank: approved
        trackier
          blank: approved
          pending: pending
          approved: approved
          rejected: rejected, cancelled
          reversed: reversed
        ");
    }

    #[test]
    fn a_range_stands_for_each_of_its_parameters() {
        let peerclick = read(FILES[3].0, FILES[3].1).unwrap();
        assert_eq!(peerclick.name, "peerclick");
        let event = peerclick.contract.parameter(Canonical::Event(30)).unwrap();
        assert_eq!(event.names, ["event30"]);
        assert_eq!(event.placeholder.as_deref(), Some("{event30}"));
        let all = |text| range(text).map(|all| all.len());
        assert_eq!(all("param1..param20"), Ok(20));
        assert_eq!(all("click_id"), Ok(1));
        for text in [
            "sub1..",
            "..sub1",
            "sub1..param2",
            "sub1..sub11",
            "sub0..sub2",
            "sub2..sub1",
            "sub1..sub1",
            "sub1..sub300",
            "geo1..geo2",
            "sub",
            "sub01..sub2",
        ] {
            assert!(all(text).is_err(), "{text}");
        }
    }

    fn complaint(from: &str, to: &str) -> String {
        let (file, text) = FILES[4];
        assert!(text.contains(from), "{from}");
        read(file, &text.replacen(from, to, 1)).unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_is_told_with_file_line_and_key() {
        let told = [
            complaint("kind = ", "kin = "),
            complaint("name = \"pushground\"", "name = \"Pushground\""),
            complaint("paths = [\"/conv", "paths = [\"conv"),
            complaint("identity = \"click\"", "identity = \"clicks\""),
            complaint("absent = \"approved\"", "absent = \"paid\""),
            complaint("absent = \"approved\"", ""),
            complaint("canonical = \"revenue\"", "canonical = \"amount\""),
            complaint("canonical = \"revenue\"", "canonical = \"click_id\""),
            complaint("canonical = \"revenue\"", "canonical = \"sub1..sub3\""),
            complaint("names = [\"amount\"]", "names = [\"click_id\"]"),
            complaint("names = [\"amount\"]", "names = []"),
            complaint("names = [\"amount\"]", "names = [\"amount\"]\nunit = \"cents\""),
            complaint("required = true", "required = \"yes\""),
            complaint("[contract.answers]", "[contract.answers"),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
        partners/pushground.toml:5: kin: unknown field `kin`, expected one of `name`, `title`, `kind`, `source`, `source_on`, `paths`, `contract`
        partners/pushground.toml:3: name: a file is called as its partner is
        partners/pushground.toml:8: paths: a path begins with a slash
        partners/pushground.toml:11: identity: unknown variant `clicks`, expected one of `click_goal_txn`, `click_goal`, `click`, `txn`
        partners/pushground.toml:15: absent: unknown variant `paid`, expected one of `pending`, `approved`, `rejected`, `reversed`
        partners/pushground.toml:10: contract: a status that may be absent needs a meaning: statuses.absent
        partners/pushground.toml:28: canonical: no canonical parameter is called `amount`
        partners/pushground.toml:28: canonical: `click_id` stands twice among the parameters
        partners/pushground.toml:29: names: `amount` names a range, so it has {n} in it
        partners/pushground.toml:28: canonical: `click_id` names both `click_id` and `revenue`
        partners/pushground.toml:28: canonical: `revenue` needs 1 to 20 names
        partners/pushground.toml:30: unit: unknown variant `cents`, expected `decimal` or `minor`
        partners/pushground.toml:23: required: invalid type: string "yes", expected a boolean
        partners/pushground.toml:17: contract.answers: unclosed table, expected `]`
        "#);
    }
}

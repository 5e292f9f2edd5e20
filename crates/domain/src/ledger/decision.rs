//! What a decision is made of, and what it says.

use super::{Cause, ClickEvents, Conversion, Entry};
use crate::click::Click;
use crate::conversion::Status;
use crate::id::{ConversionId, Position};
use crate::postback::Problem;
use crate::reason::{Flags, Reason, Verdict};
use crate::time::Timestamp;

/// What the store knows about the click and the conversion that a [`Read`](super::Read) names.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The click's own row; `None` where it is gone.
    pub click: Option<&'a Click<'a>>,
    /// The conversion with the read's key.
    pub conversion: Option<&'a Conversion>,
    /// The click has a conversion of the goal; looked up only where the read
    /// [marks](crate::ledger::Read::marks) those that come after it.
    pub has_earlier: bool,
    /// How many conversions of the click wait in triage, at most [`WAITING_MAX`]; looked up only
    /// where the read [waits](crate::ledger::Read::waits) for its transaction id.
    ///
    /// [`WAITING_MAX`]: crate::ledger::WAITING_MAX
    pub waiting: u32,
    /// The click's events; looked up only where the read [tells of them](super::Read::tells_of).
    pub events: Option<&'a ClickEvents>,
    /// The id a new conversion gets.
    pub next_id: ConversionId,
}

/// What becomes of a hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub parameter: Option<String>,
    pub nearest: Option<String>,
    pub detail: Option<String>,
    pub flags: Flags,
    /// For a duplicate: the hit that made the conversion.
    pub original: Option<Position>,
    /// The conversion it belongs to, as it stands.
    pub conversion: Option<(ConversionId, Status)>,
    pub effect: Option<Effect>,
    /// The click's events after it, where it changed them.
    pub events: Option<Box<ClickEvents>>,
}

/// A conversion as it stands after a hit or a command, and the entry that says what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub conversion: Conversion,
    /// `None`: nothing that counts changed. The conversion only remembers what was said, so that
    /// a late repeat of it cannot count either; it is to be saved all the same.
    pub entry: Option<Entry>,
}

impl Decision {
    pub(super) fn of(verdict: Verdict, flags: Flags) -> Self {
        Self {
            verdict,
            reason: None,
            parameter: None,
            nearest: None,
            detail: None,
            flags,
            original: None,
            conversion: None,
            effect: None,
            events: None,
        }
    }

    pub(super) fn because(problem: &Problem, flags: Flags) -> Self {
        Self {
            reason: Some(problem.reason),
            parameter: problem.parameter.clone(),
            nearest: problem.nearest.clone(),
            detail: Some(problem.detail.clone()),
            ..Self::of(problem.reason.verdict(), flags)
        }
    }

    /// It says nothing new about `conversion`.
    pub(super) fn nothing_new(conversion: &Conversion, flags: Flags) -> Self {
        let detail = "this conversion is known, and the postback says nothing new about it";
        Self {
            original: Some(conversion.created_by),
            conversion: Some((conversion.id, conversion.status)),
            ..Self::because(&Problem::new(Reason::AlreadyProcessed, None, detail), flags)
        }
    }

    pub(super) fn with(mut self, effect: Effect) -> Self {
        self.conversion = Some((effect.conversion.id, effect.conversion.status));
        self.effect = Some(effect);
        self
    }

    /// Parked: our fault, to be decided again.
    pub fn internal_error() -> Self {
        let detail = "the decision failed; it will be made again";
        let problem = Problem::new(Reason::InternalError, None, detail);
        Self::because(&problem, Flags::default())
    }
}

/// When and by what a decision is made.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    /// The hit's arrival: what it is judged by.
    pub at: Timestamp,
    /// When it is entered: its arrival too, unless it was parked and is decided again. The chain's
    /// times never go back.
    pub entered_at: Timestamp,
    /// The hit's, or the command's where a person decides.
    pub position: Position,
    /// What has it entered.
    pub cause: Cause,
    /// The digest of what caused it.
    pub evidence: [u8; 32],
}

//! The ways in which the API refuses, by their codes: what the document says of them.
//!
//! Those that any call may meet are worked out from the call; a route names the others.

/// One way of refusing a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    /// When it is given, in a sentence without a full stop.
    pub(super) means: &'static str,
}

const fn refusal(status: u16, code: &'static str, means: &'static str) -> Refusal {
    Refusal { status, code, means }
}

/// What any call may be answered with.
pub(super) const OF_ALL: [Refusal; 9] = [
    refusal(
        400,
        "invalid_parameter",
        "a field or query parameter is wrong, missing or unknown; `parameter` names it",
    ),
    refusal(400, "invalid_request", "the request as a whole says nothing"),
    refusal(408, "request_too_slow", "head or body did not arrive in time"),
    refusal(413, "body_too_large", "the body is too long; `detail` has the limit"),
    refusal(414, "target_too_long", "path and query are too long; `detail` has the limit"),
    refusal(431, "head_too_large", "the headers are too long; `detail` has the limit"),
    refusal(500, "internal_error", "our fault; details are in the server's log"),
    refusal(503, "unavailable", "nothing was changed; `Retry-After` says when to try again"),
    refusal(
        503,
        "not_applied_yet",
        "of a change: it is on disk and will be applied; of a question: what was acknowledged \
         before is not applied yet",
    ),
];
/// Of calls that need a key.
pub(super) const UNAUTHORIZED: Refusal = refusal(401, "unauthorized", "no key, or a wrong one");
/// Of calls with an id in their path, or with something else that has to be there.
pub(super) const NOT_FOUND: Refusal = refusal(404, "not_found", "there is no such thing");
/// Of calls with a body.
pub(super) const INVALID_BODY: Refusal =
    refusal(400, "invalid_body", "the body is not a JSON object");
pub(super) const KEY_REUSED: Refusal =
    refusal(409, "idempotency_key_reused", "the `Idempotency-Key` was used with another request");

pub(super) const ARCHIVED: Refusal =
    refusal(409, "archived", "what is archived is not changed any more");
pub(super) const IN_USE: Refusal =
    refusal(409, "in_use", "something that is in use depends on it; `detail` says what");
pub(super) const NOT_APPROVED: Refusal = refusal(
    409,
    "campaign_not_approved",
    "the campaign has not been approved yet, which comes before this",
);
pub(super) const TRANSITION: Refusal =
    refusal(409, "transition_not_allowed", "this status does not follow that one");
pub(super) const NOT_IN_TRIAGE: Refusal =
    refusal(409, "not_in_triage", "the conversion lacks no transaction id that it should have");
pub(super) const ALREADY_EXISTS: Refusal =
    refusal(409, "already_exists", "another conversion has it already; `detail` names it");
pub(super) const OUT_OF_RANGE: Refusal =
    refusal(409, "out_of_range", "an amount would be larger than any amount can be");
pub(super) const WITHOUT_CLICK_ID: Refusal = refusal(
    409,
    "landing_url_without_click_id",
    "an active campaign would send visitors on without our click id",
);
pub(super) const NOT_A_DRAFT: Refusal =
    refusal(409, "not_a_draft", "the contract is or was active, or was discarded: draft a new one");
pub(super) const NOT_SIGNED_OFF: Refusal =
    refusal(409, "not_signed_off", "somebody has still to sign; `detail` says who");
pub(super) const SECRET_MISSING: Refusal = refusal(
    409,
    "secret_missing",
    "the contract accepts nothing without a secret that is not set, or that it cannot use; \
     `detail` says which",
);
pub(super) const ALREADY_ACTIVE: Refusal = refusal(409, "already_active", "the contract is active");
pub(super) const NOT_IN_SUNSET: Refusal =
    refusal(409, "not_in_sunset", "only a contract in sunset can be retired");
pub(super) const TOO_MANY_DRAFTS: Refusal =
    refusal(409, "too_many_drafts", "discard one first; `detail` has the limit");
pub(super) const TOO_MANY_VERSIONS: Refusal =
    refusal(409, "too_many_versions", "the integration has as many as there may be");
pub(super) const TOO_MANY_IN_SUNSET: Refusal =
    refusal(409, "too_many_in_sunset", "retire one first; `detail` has the limit");
pub(super) const NOT_PARKED: Refusal =
    refusal(409, "not_parked", "the hit is decided, or is not journaled");
pub(super) const OVERTAKEN: Refusal =
    refusal(409, "overtaken", "what came after the hit has changed its conversion");
pub(super) const BUSY: Refusal = refusal(
    429,
    "busy",
    "as many are being done as may be at once; nothing was changed, `Retry-After` says when to \
     try again",
);
pub(super) const HIT_REMOVED: Refusal =
    refusal(409, "hit_removed", "the request itself is not kept any more");
pub(super) const TOO_LARGE: Refusal = refusal(
    400,
    "too_large",
    "the question has too large an answer; `detail` says what would be right",
);

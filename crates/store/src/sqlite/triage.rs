//! Ends the triage of a conversion: a person repairs it, or merges it into the one that it is.

use super::{Writer, conversion};
use crate::Error;
use domain::command::Failure;
use domain::id::ConversionId;
use domain::ledger::{self, Effect, Occasion};

impl Writer {
    pub(super) fn repair(
        &mut self,
        id: ConversionId,
        txn_id: &str,
        reason: &str,
        occasion: Occasion,
    ) -> Result<Result<(), Failure>, Error> {
        let Some(old) = conversion::by_id(&self.connection, id)? else {
            return Ok(Err(Failure::not_found("conversion", id)));
        };
        let key = match ledger::repaired_key(&self.setup, &old, txn_id) {
            Ok(key) => key,
            Err(failure) => return Ok(Err(failure)),
        };
        let existing = conversion::by_key(&self.connection, &key)?;
        match ledger::repair(&old, key, txn_id, reason, existing.as_ref(), occasion) {
            Ok(effect) => self.save_end_of_triage(&effect).map(Ok),
            Err(failure) => Ok(Err(failure)),
        }
    }

    pub(super) fn merge(
        &mut self,
        id: ConversionId,
        into: ConversionId,
        reason: &str,
        occasion: Occasion,
    ) -> Result<Result<(), Failure>, Error> {
        let Some(old) = conversion::by_id(&self.connection, id)? else {
            return Ok(Err(Failure::not_found("conversion", id)));
        };
        let Some(into) = conversion::by_id(&self.connection, into)? else {
            let detail = format!("there is no conversion {into}");
            return Ok(Err(Failure::invalid("into", detail)));
        };
        match ledger::merge(&old, &into, reason, occasion) {
            Ok([merged, into]) => {
                self.save_end_of_triage(&merged)?;
                self.save_effect(Some(&into)).map(Ok)
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    fn save_end_of_triage(&mut self, effect: &Effect) -> Result<(), Error> {
        conversion::end_triage(&self.connection, &effect.conversion)?;
        self.save_effect(Some(effect))
    }
}

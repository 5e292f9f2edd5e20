//! What can be done to publishers, and what subs mean to them and to the network.

use super::execute::{Executed, checked_name, in_use};
use super::{Act, Effect, Failure};
use crate::campaign::Publisher;
use crate::id::PublisherId;
use crate::setup::{Change, Setup};
use crate::sub_labels::{self, SubLabels};
use std::collections::BTreeMap;

impl Setup {
    pub(super) fn execute_on_publisher(&self, act: &Act) -> Executed {
        match act {
            Act::CreatePublisher { name } => {
                let id = PublisherId(self.next_id(&self.publishers));
                let name = checked_name(name)?;
                Ok(Effect::of(Change::Publisher(Publisher { id, name, archived: false })))
            }
            Act::ChangePublisher { id, name } => {
                let old = self.the_publisher(*id)?;
                in_use("publisher", id, old.archived)?;
                let new = Publisher { name: checked_name(name)?, ..old };
                Ok(Effect::of(Change::Publisher(new)))
            }
            Act::ArchivePublisher { id } => {
                let new = Publisher { archived: true, ..self.the_publisher(*id)? };
                Ok(Effect::of(Change::Publisher(new)))
            }
            Act::SetSubLabels { publisher_id, labels } => {
                self.set_sub_labels(*publisher_id, labels)
            }
            _ => unreachable!("only acts on publishers are handed here"),
        }
    }

    fn the_publisher(&self, id: PublisherId) -> Result<Publisher, Failure> {
        self.publisher(id).cloned().ok_or_else(|| Failure::not_found("publisher", id))
    }

    fn set_sub_labels(
        &self,
        publisher_id: Option<PublisherId>,
        labels: &BTreeMap<String, String>,
    ) -> Executed {
        if let Some(id) = publisher_id {
            in_use("publisher", id, self.the_publisher(id)?.archived)?;
        }
        if let Some((name, detail)) = sub_labels::fault(labels) {
            return Err(Failure::invalid(name, detail));
        }
        let labels = labels.clone();
        Ok(Effect::of(Change::SubLabels(SubLabels { publisher_id, labels })))
    }
}

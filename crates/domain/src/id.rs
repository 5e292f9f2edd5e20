//! Ids: one type for each thing, so that one cannot be taken for another.
//!
//! They are numbers given out in order. The ids that prove themselves to strangers are
//! [`crate::click_id::ClickId`] and the receipts of [`crate::receipt`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($number:ty);)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            JsonSchema,
        )]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(pub $number);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$name> for $number {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    AdvertiserId(u32);
    PublisherId(u32);
    CampaignId(u32);
    LinkId(u32);
    IntegrationId(u32);
    DestinationId(u32);
    ConversionId(u64);
    /// One thing that a destination is owed: given out in order, without gaps.
    DeliveryId(u64);
    /// A record's place in its node's journal: the first is 1; a restore leaves a gap.
    Position(u64);
}

/// The journal that owns a click or a hit: 0 to 1023, for it has 10 bits in every click id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub struct NodeId(u16);

impl NodeId {
    pub const MAX: Self = Self(1023);

    /// `None` above 1023.
    pub const fn new(number: u16) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    pub const fn get(self) -> u16 {
        self.0
    }
}

impl From<NodeId> for u16 {
    fn from(node: NodeId) -> Self {
        node.0
    }
}

impl TryFrom<u16> for NodeId {
    type Error = NodeError;
    fn try_from(number: u16) -> Result<Self, Self::Error> {
        Self::new(number).ok_or(NodeError)
    }
}

impl FromStr for NodeId {
    type Err = NodeError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().and_then(Self::new).ok_or(NodeError)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The text or number is not a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeError;

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a node is a number from 0 to {}", NodeId::MAX)
    }
}

impl std::error::Error for NodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_the_number_it_is() {
        assert_eq!("7".parse(), Ok(CampaignId(7)));
        assert_eq!(CampaignId(7).to_string(), "7");
        assert_eq!(serde_json::to_string(&Position(1 << 53)).unwrap(), "9007199254740992");
        assert_eq!(serde_json::from_str::<LinkId>("4294967295").unwrap(), LinkId(u32::MAX));
        for text in ["", "-1", "4294967296", "1.0", " 1"] {
            assert!(text.parse::<LinkId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_node_has_ten_bits() {
        assert_eq!(NodeId::new(1023), Some(NodeId::MAX));
        assert_eq!(NodeId::new(1024), None);
        assert_eq!("1023".parse(), Ok(NodeId::MAX));
        assert_eq!("1024".parse::<NodeId>(), Err(NodeError));
        assert_eq!(serde_json::from_str::<NodeId>("5").unwrap().get(), 5);
        assert!(serde_json::from_str::<NodeId>("1024").is_err());
        let bytes = postcard::to_stdvec(&1024_u16).unwrap();
        assert!(postcard::from_bytes::<NodeId>(&bytes).is_err());
    }
}

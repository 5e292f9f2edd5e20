//! Decides what a click, a postback and a command mean.
//!
//! Pure: no clock, randomness, I/O, SQL or float. Callers tell the time and hand the randomness,
//! so the same records always lead to the same state.
//!
//! The map, in reading order, and the glossary: one word per thing, here and everywhere else.
//!
//! | Module | Word | Is |
//! |---|---|---|
//! | [`id`], [`base32`], [`click_id`], [`receipt`] | click id, receipt | ids, and the two that prove themselves |
//! | [`money`], [`time`] | revenue, payout, cost | exact amounts; instants, zones and days |
//! | [`campaign`] | advertiser, publisher, campaign, goal, term, link | what an operator sets up |
//! | [`contract`] | contract | how one sender speaks, and the versions of that |
//! | [`integration`] | integration | a contract in use |
//! | [`partner`], [`outbound`] | partner | a known platform, and what we call to tell it of a conversion |
//! | [`builder`] | macro, gap | URLs that are handed out, with the other side's macros, and gaps where nobody knows them |
//! | [`secret`] | secret | what proves a sender, signs a request or opens an account |
//! | [`settings`] | network | what holds for all integrations |
//! | [`setup`] | setup | all of the above, with its history |
//! | [`visitor`] | country, device, os, browser | what a click knows of its visitor that is not personal |
//! | [`click`], [`landing`], [`macros`] | click, external id, sub1 … sub10 | one visit, and the landing URL it goes to |
//! | [`hit`], [`postback`] | hit, postback | a request kept byte for byte; what it says |
//! | [`conversion`] | conversion, status | one paid-for act |
//! | [`echo`] | echo | what was sent, as a complaint repeats it |
//! | [`reason`] | verdict, reason, flag | what became of a hit, and why |
//! | [`ledger`] | entry | the decision, and the immutable rows it leads to |
//! | [`command`] | command, outcome | what a person or a key does |
//! | [`record`] | record | a journal record's payload |
//! | [`report`] | query, dimension, metric | what can be asked of the figures |

pub mod base32;
pub mod builder;
pub mod campaign;
pub mod click;
pub mod click_id;
pub mod command;
pub mod contract;
pub mod conversion;
pub mod destination;
pub mod echo;
pub mod hit;
pub mod id;
pub mod integration;
pub mod landing;
pub mod ledger;
pub mod macros;
pub mod money;
pub mod outbound;
pub mod partner;
pub mod postback;
pub mod reason;
pub mod receipt;
pub mod record;
pub mod report;
pub mod secret;
pub mod settings;
pub mod setup;
pub mod sub_labels;
pub mod time;
pub mod visitor;

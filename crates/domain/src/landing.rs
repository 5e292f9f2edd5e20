//! Where a link's visitors go: everything a redirect needs, worked out beforehand.
//!
//! Scheme, host and port come from setup, never from a request; what a request says is
//! percent-encoded into the places that setup left for it.

use crate::campaign::Link;
use crate::click::{Click, Label};
use crate::click_id::ClickIdText;
use crate::id::{CampaignId, LinkId, PublisherId};
use crate::macros::{LandingUrl, Macro, Value};
use crate::money::{Currency, Micros};
use crate::setup::Setup;

/// A link with its campaign as both stand now.
#[derive(Clone, Debug)]
pub struct Target {
    pub link_id: LinkId,
    pub campaign_id: CampaignId,
    pub publisher_id: PublisherId,
    /// Clicks made now convert.
    pub is_live: bool,
    pub is_test: bool,
    /// The campaign has been approved, so test clicks can be made.
    pub is_approved: bool,
    landing: LandingUrl,
    fallback: Option<LandingUrl>,
    /// The default goal's, where they are fixed.
    revenue: Option<Micros>,
    payout: Option<Micros>,
    currency: Currency,
}

/// What a redirect knows beyond the click itself.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    pub click_id: &'a ClickIdText,
    pub random: u64,
}

impl Target {
    /// `None` where setup does not hang together, which the commands do not let happen.
    pub fn of(setup: &Setup, link: &Link) -> Option<Self> {
        let campaign = setup.campaign(link.campaign_id)?;
        let params = setup.landing_params(campaign);
        let url = link.landing_url.as_deref().unwrap_or(&campaign.landing_url);
        let fallback = campaign.fallback_url.as_deref();
        let goal = campaign.default_goal()?;
        let status = campaign.status;
        let is_in_use = !link.archived && !campaign.archived;
        Some(Self {
            link_id: link.id,
            campaign_id: link.campaign_id,
            publisher_id: link.publisher_id,
            is_live: is_in_use && (status.is_live() || link.test && status.is_approved()),
            is_test: link.test,
            is_approved: is_in_use && status.is_approved(),
            landing: LandingUrl::parse(url, params).ok()?,
            fallback: fallback.and_then(|url| LandingUrl::parse(url, None).ok()),
            revenue: goal.revenue.fixed(),
            payout: goal.payout.fixed(),
            currency: campaign.currency,
        })
    }

    /// Appends the URL the visitor goes to; `false`: there is none, because the campaign is not
    /// active and has no fallback.
    pub fn write_location(&self, click: &Click<'_>, visit: Visit<'_>, out: &mut Vec<u8>) -> bool {
        let url = if click.is_live { Some(&self.landing) } else { self.fallback.as_ref() };
        let Some(url) = url else { return false };
        url.render(out, |name| self.value(name, click, visit));
        true
    }

    fn value<'v>(&'v self, name: Macro, click: &'v Click<'_>, visit: Visit<'v>) -> Value<'v> {
        let label = |label| Value::from(click.labels.get(label).unwrap_or_default());
        match name {
            Macro::ClickId => Value::from(visit.click_id.as_str()),
            Macro::CampaignId => Value::Number(self.campaign_id.0.into()),
            Macro::PublisherId => Value::Number(self.publisher_id.0.into()),
            Macro::Payout => self.payout.or(self.revenue).map_or(Value::Empty, Value::Money),
            Macro::Revenue => self.revenue.map_or(Value::Empty, Value::Money),
            Macro::Currency => Value::from(self.currency.as_str()),
            Macro::Sub(sub) => label(Label::Sub(sub)),
            Macro::ExternalId => Value::Bytes(&click.external_id),
            Macro::Source => label(Label::Source),
            Macro::Creative => label(Label::Creative),
            Macro::Placement => label(Label::Placement),
            Macro::Visitor(known) => Value::from(click.visitor.word(known)),
            Macro::Ip => click.personal.ip.map_or(Value::Empty, Value::Ip),
            Macro::UserAgent => Value::from(&*click.personal.user_agent),
            Macro::Timestamp => Value::Number(click.id.at_ms() / 1000),
            Macro::Random => Value::Number(visit.random),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Status;
    use crate::command::{Act, CampaignChanges};
    use crate::ledger::tests::world::{CAMPAIGN, LEAD, LINK, OWN_ID, World, goals, keyring, plain};
    use crate::visitor::Country;

    /// Where the click `a` goes, made by the link as it stands.
    fn location(world: &mut World, link: LinkId) -> Option<String> {
        let mut click = world.click("a", link).clone();
        click.labels.set(Label::Sub(1), "us/east");
        click.personal.user_agent = "A \"B\"".into();
        click.visitor.country = Country::parse(b"AT");
        click.visitor.browser = "Samsung Internet".into();
        let target = Target::of(&world.setup, world.setup.link(link).unwrap()).unwrap();
        assert_eq!(target.is_live, click.is_live);
        let (id, mut out) = (keyring().format(click.id), Vec::new());
        let visit = Visit { click_id: &id, random: 7 };
        let is_sent = target.write_location(&click, visit, &mut out);
        let location = String::from_utf8(out).unwrap().replace(id.as_str(), "ID");
        is_sent.then_some(location)
    }

    fn land_on(world: &mut World, url: &str) {
        let landing_url = Some(url.to_owned());
        let changes = CampaignChanges { landing_url, ..CampaignChanges::default() };
        world.act(Act::ChangeCampaign { id: CAMPAIGN, changes: Box::new(changes) });
    }

    #[test]
    fn a_visitor_takes_along_what_setup_asks_for() {
        let mut world = World::new(plain(), LEAD);
        let asks = "c={click_id}&k={campaign_id}&p={publisher_id}&s={sub1}&t={sub2}&x={external_id}\
            &u={user_agent}&r={random}&cur={currency}&other={gaid}\
            &in={country}&on={device}&os={os}&by={browser}";
        land_on(&mut world, &format!("https://shop.example/?{asks}"));
        let goes = "c=ID&k=1&p=1&s=us%2Feast&t=&x=external&u=A%20%22B%22&r=7&cur=USD&other={gaid}\
            &in=AT&on=&os=&by=Samsung%20Internet";
        let expected = format!("https://shop.example/?{goes}");
        assert_eq!(location(&mut world, LINK).as_deref(), Some(&*expected));
    }

    #[test]
    fn the_payout_is_the_publishers_else_ours_else_empty() {
        let mut world = World::new(plain(), LEAD);
        land_on(&mut world, "https://shop.example/{click_id}?p={payout}&r={revenue}");
        let cases = [
            (r#""revenue":"2.50","payout":"1.75""#, "p=1.75&r=2.5"),
            (r#""revenue":"2.50","payout":{"percent":"70"}"#, "p=2.5&r=2.5"),
            (r#""revenue":{"from":"postback"},"payout":"1.75""#, "p=1.75&r="),
            (r#""revenue":{"from":"postback"},"payout":{"from":"postback"}"#, "p=&r="),
        ];
        for (terms, expected) in cases {
            let goals = Some(goals(&format!(r#"[{{"key":"lead",{terms}}}]"#)));
            let changes = CampaignChanges { goals, ..CampaignChanges::default() };
            world.act(Act::ChangeCampaign { id: CAMPAIGN, changes: Box::new(changes) });
            let expected = format!("https://shop.example/ID?{expected}");
            assert_eq!(location(&mut world, LINK).as_deref(), Some(&*expected), "{terms}");
        }
    }

    #[test]
    fn a_links_own_url_comes_first_and_parameters_are_added_to_either() {
        let mut world = World::new(plain(), LEAD);
        let landing_params = Some(Some("aff_sub={clickid}".to_owned()));
        world.act(Act::ChangeIntegration {
            id: OWN_ID,
            landing_params,
            secrets: None,
            old_secrets_until: None,
        });
        let expected = "https://shop.example/?c=ID&aff_sub=ID";
        assert_eq!(location(&mut world, LINK).as_deref(), Some(expected));
        let landing_url = Some("https://other.example/#top".to_owned());
        world.act(Act::ChangeLink { id: LINK, landing_url });
        let expected = "https://other.example/?aff_sub=ID#top";
        assert_eq!(location(&mut world, LINK).as_deref(), Some(expected));
    }

    #[test]
    fn while_a_campaign_is_not_active_its_visitors_go_to_the_fallback_or_nowhere() {
        let mut world = World::new(plain(), LEAD);
        let test = world.link(CAMPAIGN, true);
        world.set_status(Status::Paused);
        assert_eq!(location(&mut world, LINK), None);
        let expected = Some("https://shop.example/?c=ID");
        assert_eq!(location(&mut world, test).as_deref(), expected, "tests go on");
        let fallback_url = Some("https://fallback.example/{sub1}".to_owned());
        let changes = CampaignChanges { fallback_url, ..CampaignChanges::default() };
        world.act(Act::ChangeCampaign { id: CAMPAIGN, changes: Box::new(changes) });
        let expected = Some("https://fallback.example/us%2Feast");
        assert_eq!(location(&mut world, LINK).as_deref(), expected);
        world.set_status(Status::Ended);
        assert_eq!(location(&mut world, LINK).as_deref(), expected);
    }
}

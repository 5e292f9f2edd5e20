//! Whether what a destination is sent can be signed as it says.

use super::request::{signature_of, unsigned};
use super::{Destination, SIGNING, standard_webhooks};
use crate::contract::{Fault, Input, SECRET_FIELD, Scheme};
use crate::macros::{Value, nearest_in_words};
use crate::outbound::{Field, Outbound, SignaturePlace};
use crate::postback::Pairs;
use crate::secret::Secret;

/// What stands for every value of a request that is only tried: a text and a number.
const ANY: &str = "1";

impl Destination {
    pub(super) fn signing_fault(&self) -> Option<Fault> {
        let place = match self.outbound.signature_place() {
            Ok(place) => place,
            Err(detail) => return Some(Fault::at("url", detail)),
        };
        let of = |name: &str, detail: &str| Some(Fault::at(name, detail));
        match (&place, &self.scheme, self.secrets.get(SIGNING)) {
            (None, None, None) => None,
            (Some(_), None, _) => of("scheme", "{signature} needs a scheme: how it is made"),
            (Some(_), Some(_), None) => of("secret", "{signature} needs the agreed secret"),
            (None, _, _) => {
                let detail = "nothing carries the {signature}: write it into `url`, or with \
                    `\"scheme\":null` sign by Standard Webhooks, or with no `secret` not at all";
                of("url", detail)
            }
            (Some(place), Some(scheme), Some(secret)) => {
                let fault = scheme.fault().map(|fault| fault.within("scheme"));
                fault
                    .or_else(|| secret_fault(scheme, secret))
                    .or_else(|| self.unsignable(&self.outbound, place))
            }
        }
    }

    /// What is signed has to be in the request, whatever its values are.
    pub(super) fn unsignable(&self, outbound: &Outbound, place: &SignaturePlace) -> Option<Fault> {
        let (scheme, secret) = self.scheme.as_ref().zip(self.secrets.get(SIGNING))?;
        let bare = outbound.request(|field| match field {
            Field::Account(name) => self.account_value(name).into(),
            Field::Signature => Value::Empty,
            _ => ANY.into(),
        });
        // What cannot be made at all has faults of its own.
        let bare = bare.ok()?;
        let (_, hit) = unsigned(place, &bare);
        let sent = Pairs::of(&hit);
        let names = || sent.all.iter().map(|pair| pair.name.as_str());
        if let Input::Fields { fields, optional, .. } = &scheme.input {
            let is_missing =
                |name: &String| !optional.contains(name) && names().all(|own| own != name);
            let mut signed = fields.iter().enumerate().filter(|(_, name)| *name != SECRET_FIELD);
            if let Some((number, name)) = signed.find(|(_, name)| is_missing(name)) {
                let near = nearest_in_words(name, names());
                let detail = format!("the request has no parameter `{name}` to sign{near}");
                return Some(Fault::at(format!("scheme.input.fields[{number}]"), detail));
            }
        }
        let why = signature_of(scheme, place, &bare, secret).err()?;
        Some(Fault::at("scheme", format!("the request cannot be signed so: {why}")))
    }
}

fn secret_fault(scheme: &Scheme, secret: &Secret) -> Option<Fault> {
    let wrong = scheme.secret_fault(secret.expose())?;
    let detail = match *scheme == standard_webhooks().0 {
        true => "Standard Webhooks sign with a secret in base64: give one, or with `scheme` \
            another way to sign"
            .to_owned(),
        false => wrong,
    };
    Some(Fault::at("secret", detail))
}

//! Currencies: the closed list of ISO 4217.
//!
//! A code never leaves the list, for what was recorded in it must read for ever; with those that
//! went out of use lately, partners still settle. Metals, funds of the IMF and test codes are not
//! in it: nobody is paid in them.

use super::Micros;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The codes by the number of decimals of their minor unit.
const CODES: [(u8, &str); 4] = [
    (
        2,
        "USD EUR GBP AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL \
         BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN \
         ETB FJD FKP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW \
         KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN \
         NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD \
         SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USN UYU UZS VED \
         VES WST XCD XCG YER ZAR ZMW ZWG",
    ),
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// A currency by its ISO 4217 code. Text has the code in capitals, read in any case; binary
/// formats have its three bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    pub const EUR: Self = Self(*b"EUR");
    pub const USD: Self = Self(*b"USD");

    fn of(code: [u8; 3]) -> Option<Self> {
        find(code).map(|_| Self(code))
    }

    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("codes are ASCII")
    }

    /// How many decimals its minor unit is: 2 for EUR, whose minor unit is the cent.
    pub fn exponent(self) -> u8 {
        find(self.0).expect("a currency is on the list")
    }

    /// The amount that so many whole minor units are: 1250 of them are 12.5 USD, and 1250 JPY.
    pub fn from_minor(self, minor: Micros) -> Micros {
        Micros(minor.0 / 10_i64.pow(self.exponent().into()))
    }
}

fn listed() -> impl Iterator<Item = ([u8; 3], u8)> {
    CODES.iter().flat_map(|(exponent, codes)| {
        codes.as_bytes().chunks(4).map(|code| ([code[0], code[1], code[2]], *exponent))
    })
}

fn find(code: [u8; 3]) -> Option<u8> {
    listed().find(|(listed, _)| *listed == code).map(|(_, exponent)| exponent)
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the code of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrencyError;

impl fmt::Display for CurrencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an ISO 4217 currency such as USD")
    }
}

impl std::error::Error for CurrencyError {}

/// Reads a code in any case.
impl FromStr for Currency {
    type Err = CurrencyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut code: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        code.make_ascii_uppercase();
        Self::of(code).ok_or(CurrencyError)
    }
}

/// As readable formats have it.
impl JsonSchema for Currency {
    fn schema_name() -> Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "ISO 4217, in capitals where it is shown and read in any case.",
            "type": "string",
            "minLength": 3,
            "maxLength": 3,
        })
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Code)
        } else {
            let code = <[u8; 3]>::deserialize(deserializer)?;
            Self::of(code).ok_or_else(|| de::Error::custom(CurrencyError))
        }
    }
}

struct Code;

impl de::Visitor<'_> for Code {
    type Value = Currency;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an ISO 4217 currency such as USD")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Currency, E> {
        text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MICROS_PER_UNIT;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_list_has_each_code_once() {
        let codes: BTreeSet<Currency> = listed().map(|(code, _)| Currency(code)).collect();
        assert_eq!(codes.len(), listed().count());
        assert_eq!(codes.len(), 166);
        for currency in codes {
            assert!(currency.as_str().bytes().all(|byte| byte.is_ascii_uppercase()));
            assert_eq!(currency.as_str().parse(), Ok(currency));
        }
    }

    #[test]
    fn a_minor_unit_has_as_many_decimals_as_the_standard_says() {
        let exponent = |code: &str| code.parse::<Currency>().unwrap().exponent();
        assert_eq!(["JPY", "USD", "KWD", "CLF"].map(exponent), [0, 2, 3, 4]);
    }

    #[test]
    fn minor_units_are_the_currencys_own() {
        let of = |units: i64, code: &str| {
            let minor = Micros(units * MICROS_PER_UNIT);
            code.parse::<Currency>().unwrap().from_minor(minor).to_string()
        };
        assert_eq!(of(1250, "USD"), "12.5");
        assert_eq!(of(1250, "JPY"), "1250");
        assert_eq!(of(-1250, "KWD"), "-1.25");
        assert_eq!(of(1, "CLF"), "0.0001");
    }

    #[test]
    fn a_code_reads_in_any_case() {
        assert_eq!("usd".parse(), Ok(Currency::USD));
        assert_eq!("Eur".parse(), Ok(Currency::EUR));
        for text in ["", "US", "USDT", "XXX", "XAU", "U D", "US$", "\u{20ac}"] {
            assert_eq!(text.parse::<Currency>(), Err(CurrencyError), "{text:?}");
        }
    }

    #[test]
    fn a_code_is_text_in_json_and_three_bytes_in_the_journal() {
        assert_eq!(serde_json::to_string(&Currency::USD).unwrap(), r#""USD""#);
        assert_eq!(serde_json::from_str::<Currency>(r#""usd""#).unwrap(), Currency::USD);
        assert!(serde_json::from_str::<Currency>("840").is_err());
        assert_eq!(postcard::to_stdvec(&Currency::USD).unwrap(), b"USD");
        assert_eq!(postcard::from_bytes::<Currency>(b"EUR").unwrap(), Currency::EUR);
        assert!(postcard::from_bytes::<Currency>(b"eur").is_err());
    }
}

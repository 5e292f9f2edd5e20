//! The secrets this instance made for itself: `keys/` in the data directory, readable by its
//! owner alone, made on the first start.
//!
//! Losing them means that no click id that was ever handed out can be recognised: they belong
//! in every backup.

use anyhow::{Context, bail};
use domain::click_id::Keyring;
use domain::receipt::ReceiptKey;
use domain::secret::SecretsKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use store::disk::{Disk, RealDisk};
use subtle::ConstantTimeEq;

/// The folder's name in the data directory.
pub(crate) const DIR: &str = "keys";
const CLICK_IDS: &str = "click-ids.json";
const RECEIPTS: &str = "receipts.key";
pub(crate) const SECRETS: &str = "secrets.key";
const ADMIN: &str = "admin.sha256";
/// Of the admin key that is made where none is given.
const ADMIN_KEY_BYTES: usize = 24;

pub(crate) struct Keys {
    pub(crate) click: Keyring,
    pub(crate) receipt: ReceiptKey,
    pub(crate) secrets: SecretsKey,
    admin: [u8; 32],
    /// The admin key, where it was made just now. It is not stored before [`Keys::admin_key_shown`].
    pub(crate) new_admin_key: Option<String>,
}

/// What becomes of keys that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing is written.
    Refuse,
    /// An admin key is made, and the one for secrets. Without the others nothing that was given out is recognised.
    MakeAdmin,
    /// It is the first start: nothing has been given out.
    MakeAll,
}

/// One key of the keyring, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    /// In force for click ids made from this Unix millisecond on.
    from_ms: u64,
    /// 32 bytes in hex.
    key: String,
}

impl Keys {
    /// Reads the keys in `data`, and makes those that may be made. An admin key that is given
    /// replaces the stored one.
    pub(crate) fn open(
        data: &Path,
        admin_key: Option<&str>,
        missing: Missing,
    ) -> anyhow::Result<Self> {
        let dir = data.join(DIR);
        let file = |name: &str,
                    may_make: bool,
                    make: &dyn Fn() -> String|
         -> anyhow::Result<String> {
            let path = dir.join(name);
            match std::fs::read_to_string(&path) {
                Ok(text) => Ok(text),
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("cannot read {}", path.display()))
                }
                Err(_) if may_make => {
                    let text = make();
                    write_secret(&dir, name, &text)?;
                    Ok(text)
                }
                Err(_) => bail!(
                    "{} is missing: without it no click id and no receipt that was given out is \
                     recognised, and no secret can be read\n\
                     hint: put the folder {DIR} of a backup in its place",
                    path.display()
                ),
            }
        };
        if missing != Missing::Refuse {
            make_dir(&dir)?;
        }
        let is_new = missing == Missing::MakeAll;
        let click_ids = file(CLICK_IDS, is_new, &|| {
            let key = StoredKey { from_ms: 0, key: hex(&random::<32>()) };
            serde_json::to_string_pretty(&[key]).expect("plain data")
        })?;
        let stored: Vec<StoredKey> =
            serde_json::from_str(&click_ids).context("keys/click-ids.json does not read")?;
        let keys = stored
            .iter()
            .map(|key| Ok((key.from_ms, unhex(&key.key).context("keys/click-ids.json")?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let click = Keyring::new(keys).context("keys/click-ids.json holds no key for all times")?;
        let random_key = || hex(&random::<32>());
        let receipt = unhex(file(RECEIPTS, is_new, &random_key)?.trim())
            .context("keys/receipts.key does not read")?;
        // Earlier releases had none. Where it is lost, what it encrypted is refused where it is read.
        let secrets = match missing {
            Missing::Refuse if !dir.join(SECRETS).exists() => random(),
            _ => unhex(file(SECRETS, missing != Missing::Refuse, &random_key)?.trim())
                .context("keys/secrets.key does not read")?,
        };
        let (admin, new_admin_key) = Self::admin(&dir, admin_key, missing)?;
        let (receipt, secrets) = (ReceiptKey::new(receipt), SecretsKey::new(secrets));
        Ok(Self { click, receipt, secrets, admin, new_admin_key })
    }

    fn admin(
        dir: &Path,
        given: Option<&str>,
        missing: Missing,
    ) -> anyhow::Result<([u8; 32], Option<String>)> {
        let may_make = missing != Missing::Refuse;
        if let Some(given) = given {
            let given = given.trim();
            if given.is_empty() {
                bail!("the admin key is empty");
            }
            let digest: [u8; 32] = Sha256::digest(given).into();
            if may_make {
                keep_admin(dir, &hex(&digest));
            }
            return Ok((digest, None));
        }
        match std::fs::read_to_string(dir.join(ADMIN)) {
            Ok(text) => Ok((unhex(text.trim()).context("keys/admin.sha256 does not read")?, None)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_make => {
                let key = format!("cf_{}", hex(&random::<ADMIN_KEY_BYTES>()));
                Ok((Sha256::digest(&key).into(), Some(key)))
            }
            Err(error) => Err(error).context("cannot read keys/admin.sha256"),
        }
    }

    /// Stores the admin key that was made, now that somebody has seen it: a start that fails
    /// before makes another one.
    pub(crate) fn admin_key_shown(&self, data: &Path) -> anyhow::Result<()> {
        if self.new_admin_key.is_none() {
            return Ok(());
        }
        write_secret(&data.join(DIR), ADMIN, &hex(&self.admin))
    }

    /// Whether that is the admin key. Keys are compared by their hashes.
    pub(crate) fn is_admin(&self, key: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(key).into();
        digest.ct_eq(&self.admin).into()
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    bytes
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        bail!("a key has 64 hexadecimal digits");
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16)
            .context("a key has 64 hexadecimal digits")?;
    }
    Ok(bytes)
}

/// Stores the hash of an admin key that was given, where it is another one than before. It is in
/// force all the same where that fails: a full disk must not keep the server from starting.
fn keep_admin(dir: &Path, digest: &str) {
    if std::fs::read_to_string(dir.join(ADMIN)).is_ok_and(|stored| stored.trim() == digest) {
        return;
    }
    if let Err(error) = write_secret(dir, ADMIN, digest) {
        let error = format!("{error:#}");
        tracing::warn!(error, "the admin key that was given holds, and is not stored");
    }
}

/// Makes a directory that is its owner's alone, or makes it so.
pub(crate) fn make_dir(dir: &Path) -> anyhow::Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    RealDisk
        .create_dir_all(dir)
        .and_then(|()| std::fs::set_permissions(dir, mode))
        .with_context(|| format!("cannot make {}", dir.display()))
}

/// Under a temporary name first: a crash leaves the whole secret or none.
pub(crate) fn write_secret(dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}.new"));
    let write = || -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        std::fs::File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open_to(data: &Path, given: Option<&str>, key: &str) -> bool {
        Keys::open(data, given, Missing::MakeAll).unwrap().is_admin(key)
    }

    #[test]
    fn an_admin_key_that_is_given_is_stored_where_it_is_another() {
        let data = tempfile::tempdir().unwrap();
        assert!(is_open_to(data.path(), Some("one"), "one"));
        let stored = data.path().join(DIR).join(ADMIN);
        let written = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&stored).unwrap());
        let first = written();
        assert!(is_open_to(data.path(), Some("one"), "one"));
        assert_eq!(written(), first, "what is there already is not written again");
        assert!(is_open_to(data.path(), Some("two"), "two"));
        assert!(is_open_to(data.path(), None, "two"));
    }

    #[test]
    fn an_admin_key_that_cannot_be_stored_holds() {
        let data = tempfile::tempdir().unwrap();
        assert!(is_open_to(data.path(), Some("one"), "one"));
        let in_the_way = data.path().join(DIR).join(format!("{ADMIN}.new"));
        std::fs::create_dir(in_the_way).unwrap();
        assert!(is_open_to(data.path(), Some("two"), "two"));
        assert!(is_open_to(data.path(), None, "one"), "and no longer than it is given");
    }
}

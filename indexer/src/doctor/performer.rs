//! The partner's side of an examination: it carries out errands, and only in a scratch folder.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::errand::{CallFailure, Errand, Order, Yield};
use super::page;
use crate::error::{Error, ErrorKind, Result};
use crate::layout;
use crate::mount::{
    Access, COHERENT_PAGE, FailureClass, LockGuard, Mount, MountFailure, MountFile, MountOperation,
    MountResult, RootFolder,
};
use crate::quote::quoted;

/// The names that may be won in one contest. An examination asks for far fewer.
const ROUNDS_MAX: u32 = 1_000;
/// The longest name of a file, and the longest text of a page, in bytes.
const TEXT_MAX: usize = 200;

/// Carries out orders in the scratch folders below a root folder.
#[derive(Debug)]
pub struct Performer {
    root: RootFolder,
    entered: Option<Entered>,
}

/// The scratch folder of the examination that goes on.
#[derive(Debug)]
struct Entered {
    folder: String,
    scratch: Arc<dyn Mount>,
    open: HashMap<String, Arc<dyn MountFile>>,
    locks: HashMap<String, Box<dyn LockGuard>>,
}

impl Performer {
    /// Works below `root`.
    pub fn new(root: RootFolder) -> Self {
        Self {
            root,
            entered: None,
        }
    }

    /// Carries out an order. A call that fails is an answer.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an order that no examination gives, [`ErrorKind::Conflict`] if both sides do not see
    /// the same folder, [`ErrorKind::Busy`] if another examination has taken over.
    pub fn carry_out(&mut self, order: &Order) -> Result<Result<Yield, CallFailure>> {
        check(order)?;
        if let Errand::Begin { name, text } = &order.errand {
            self.entered = None;
            self.entered = Some(self.enter(&order.folder, name, text)?);
            return Ok(Ok(Yield::Done));
        }
        let entered = self.entered.as_mut();
        let Some(entered) = entered.filter(|entered| entered.folder == order.folder) else {
            return Err(Error::new(
                ErrorKind::Busy,
                "another examination has taken over this partner: run one at a time",
            ));
        };
        if order.errand == Errand::End {
            self.entered = None;
            return Ok(Ok(Yield::Done));
        }
        Ok(entered.perform(&order.errand).map_err(CallFailure::from))
    }

    fn enter(&self, folder: &str, name: &str, text: &str) -> Result<Entered> {
        let path = self.root.path();
        let look = || -> MountResult<_> {
            let scratch = self.root.here()?.enter(folder)?;
            let proof = read_page(&*scratch.open(name, Access::Read)?)?;
            Ok((scratch, proof))
        };
        match look() {
            Ok((scratch, proof)) if proof == text => Ok(Entered {
                folder: folder.to_owned(),
                scratch,
                open: HashMap::new(),
                locks: HashMap::new(),
            }),
            Ok(_) => Err(elsewhere().at(path)),
            Err(failure) if failure.class() == FailureClass::Missing => {
                Err(elsewhere().at(path).because(failure))
            }
            Err(failure) => Err(failure.at(path.join(folder)).into()),
        }
    }
}

fn elsewhere() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "the partner does not find here what the examiner has written: both must have mounted the same export and \
         name the same folder in it as the root",
    )
}

impl Entered {
    fn perform(&mut self, errand: &Errand) -> MountResult<Yield> {
        let scratch = &*self.scratch;
        match errand {
            Errand::Create { name, text } => scratch
                .open(name, Access::CreateNew)?
                .write_durably_at(&page::of(text), 0)?,
            Errand::Open { name, access } => {
                let file = scratch.open(name, (*access).into())?;
                self.open.insert(name.clone(), file);
            }
            Errand::Read { name } => return read_page(&**self.opened(name)?).map(Yield::Page),
            Errand::ReadOnce { name } => {
                return read_page(&*scratch.open(name, Access::Read)?).map(Yield::Page);
            }
            Errand::ReadLink { name } => return scratch.read_link(name).map(Yield::Text),
            Errand::Overwrite { name, text } => {
                self.opened(name)?.write_durably_at(&page::of(text), 0)?;
            }
            Errand::Close { name } => drop(self.open.remove(name)),
            Errand::Unlink { name } => scratch.unlink(name)?,
            Errand::RemoveDir { name } => scratch.remove_dir(name)?,
            Errand::TryLock { name } => {
                let guard = scratch.try_lock(name)?;
                let taken = guard.is_some();
                self.locks.extend(guard.map(|guard| (name.clone(), guard)));
                return Ok(Yield::Taken(taken));
            }
            Errand::Unlock { name } => drop(self.locks.remove(name)),
            Errand::Contend {
                contest,
                competitor,
                rounds,
            } => {
                return contest
                    .contend(scratch, competitor, *rounds)
                    .map(Yield::Won);
            }
            Errand::Begin { .. } | Errand::End => {}
        }
        Ok(Yield::Done)
    }

    fn opened(&self, name: &str) -> MountResult<&Arc<dyn MountFile>> {
        let open = self.open.get(name);
        open.ok_or_else(|| {
            let closed = io::Error::other("it is not open here");
            MountFailure::new(MountOperation::Read, name, closed)
        })
    }
}

/// Reads the page that a file consists of.
pub(super) fn read_page(file: &dyn MountFile) -> MountResult<String> {
    Ok(page::text(&file.read_range(0, COHERENT_PAGE)?))
}

/// Refuses every order that could do anything outside of a scratch folder, or too much in it.
fn check(order: &Order) -> Result<()> {
    if !layout::is_doctor_folder(&order.folder) {
        return Err(Error::invalid(format!(
            "{} is no scratch folder of an examination",
            quoted(&order.folder)
        )));
    }
    let (names, text): (&[&String], &str) = match &order.errand {
        Errand::Begin { name, text }
        | Errand::Create { name, text }
        | Errand::Overwrite { name, text } => (&[name], text),
        Errand::Open { name, .. }
        | Errand::Read { name }
        | Errand::ReadOnce { name }
        | Errand::ReadLink { name }
        | Errand::Close { name }
        | Errand::Unlink { name }
        | Errand::RemoveDir { name }
        | Errand::TryLock { name }
        | Errand::Unlock { name } => (&[name], ""),
        Errand::Contend {
            competitor, rounds, ..
        } if *rounds <= ROUNDS_MAX => (&[competitor], ""),
        Errand::Contend { rounds, .. } => {
            return Err(Error::invalid(format!(
                "a contest of {rounds} names: {ROUNDS_MAX} are allowed"
            )));
        }
        Errand::End => (&[], ""),
    };
    match names.iter().find(|name| !is_plain(name)) {
        Some(name) => Err(Error::invalid(format!(
            "{} is no name of a file in a scratch folder",
            quoted(name)
        ))),
        None if text.len() > TEXT_MAX => Err(Error::invalid("the text is too long for a page")),
        None => Ok(()),
    }
}

/// Whether a path stays below the folder that it begins in: its parts are lower-case words.
fn is_plain(path: &str) -> bool {
    let is_word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    path.len() <= TEXT_MAX && path.split('/').all(is_word)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_stranger_can_name_nothing_outside_of_a_scratch_folder() {
        let root = tempfile::tempdir().unwrap();
        let mut performer = Performer::new(RootFolder::open(root.path(), false).unwrap());
        let scratch = layout::doctor_folder(Uuid::new_v4());
        for (folder, name) in [
            ("default", "file"),
            ("..", "file"),
            (".trash-books-0", "file"),
            (&*scratch, "../default/head"),
            (&*scratch, "/etc/passwd"),
            (&*scratch, "folder//file"),
            (&*scratch, "HEAD"),
            (&*scratch, ""),
        ] {
            let order = Order {
                folder: folder.to_owned(),
                errand: Errand::Unlink {
                    name: name.to_owned(),
                },
            };
            let error = performer.carry_out(&order).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{folder} {name}: {error}");
        }
    }

    #[test]
    fn a_partner_that_sees_another_folder_says_so() {
        let root = tempfile::tempdir().unwrap();
        let mut performer = Performer::new(RootFolder::open(root.path(), false).unwrap());
        let folder = layout::doctor_folder(Uuid::new_v4());
        let begin = Order {
            folder: folder.clone(),
            errand: Errand::Begin {
                name: "proof".to_owned(),
                text: "secret".to_owned(),
            },
        };
        let missing = performer.carry_out(&begin).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Conflict, "{missing}");
        std::fs::create_dir(root.path().join(&folder)).unwrap();
        std::fs::write(root.path().join(&folder).join("proof"), page::of("other")).unwrap();
        let other = performer.carry_out(&begin).unwrap_err().to_string();
        assert!(other.contains("the same export"), "{other}");
    }
}

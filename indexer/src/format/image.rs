//! The layout of HEAD, and the parts of it that a commit has to write.
//!
//! A new section is **young** first: it is stored before the image, and each commit writes it again along with the
//! copy of the manifest. Most sections belong to small segments that are merged away soon. When there are too many young
//! sections, the remaining ones move to the end of the image, which is written once. When the image is full, all of HEAD is
//! rewritten without the sections that nothing refers to. So the bytes that a commit writes do not depend on the size
//! of the index, and usually take one call.

use std::collections::{HashMap, HashSet};

use super::head::{ENTRY, HEADER, Head, MAX, Place, encode};
use super::manifest::Manifest;
use super::section::{SectionId, SectionRef};
use super::{crc, damaged};
use crate::error::Result;
use crate::layout::HEAD;

/// Bytes of young sections: every commit writes them. The hot sections of half a dozen small segments.
const YOUNG_MAX: usize = 16 * 1024;
/// The room before the image is a multiple of this, so that the image rarely moves.
const ROOM: usize = 64 * 1024;
/// The room before the image at most: a longer copy is left out, and readers fetch the manifest that HEAD names.
const ROOM_MAX: usize = 5 * ROOM;
/// Sections that the directory names at most; those of the segments behind are read from where they belong.
const ENTRIES_MAX: usize = 2048;

/// What a writer knows of the HEAD that it writes.
#[derive(Debug, Default)]
pub struct Image {
    /// Where the image begins; 0 before HEAD was written.
    room: usize,
    /// Where it ends.
    end: usize,
    /// The sections in it.
    placed: HashMap<SectionId, Place>,
    /// The young sections, before it.
    young: HashMap<SectionId, Vec<u8>>,
}

/// What has to be written to HEAD.
#[derive(Debug)]
pub struct HeadWrites {
    /// Bytes of the image and their offset, to be written first.
    pub image: Option<(u64, Vec<u8>)>,
    /// Bytes from offset 0 on.
    pub beginning: Vec<u8>,
}

/// Gives the bytes of a section: from `place` in HEAD if it is there, otherwise from its file. None when it cannot be
/// read; HEAD then leaves it out.
pub type Fetch<'a> = dyn FnMut(&SectionRef, Option<Place>) -> Option<Vec<u8>> + 'a;

impl Image {
    /// The contents of a HEAD that another process has written. Damaged sections are left out and written again.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming the manifest.
    pub fn of(head: &Head) -> Result<Self> {
        let mut image = Self::default();
        let (Some(manifest), Some(directory)) = (&head.manifest, &head.directory) else {
            return Ok(image);
        };
        image.room = head.image_offset;
        image.end = head.image_offset;
        for (section, place) in manifest.sections()?.into_iter().zip(directory) {
            let Some(bytes) = place.section(&head.bytes) else {
                continue;
            };
            let end = usize::try_from(place.offset).unwrap_or(MAX) + bytes.len();
            if end <= image.room {
                image.young.insert(section.id, bytes.to_vec());
            } else {
                image.end = image.end.max(end);
                image.placed.insert(section.id, *place);
            }
        }
        Ok(image)
    }

    /// Takes `manifest`, of which `copy` are header and body, for the one that HEAD names from now on.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Corrupt`] naming the manifest.
    pub fn update(
        &mut self,
        manifest: &Manifest,
        copy: &[u8],
        fetch: &mut Fetch<'_>,
    ) -> Result<HeadWrites> {
        let mut sections = manifest.sections()?;
        sections.truncate(ENTRIES_MAX);
        let before = |copy: &[u8]| HEADER + copy.len() + sections.len() * ENTRY + YOUNG_MAX;
        let copy = if before(copy) <= ROOM_MAX { copy } else { &[] };
        let needed = before(copy);
        let mut rewrite = self.room < needed || self.room > ROOM_MAX;
        let room = if rewrite {
            (needed + needed / 4)
                .next_multiple_of(ROOM)
                .clamp(ROOM, ROOM_MAX)
        } else {
            self.room
        };
        self.choose(&sections, room, fetch);
        let young: usize = self.young.values().map(Vec::len).sum();
        let mut image = None;
        if young > YOUNG_MAX {
            rewrite |= self.end + young > MAX;
            if !rewrite {
                let offset = self.end;
                let mut bytes = Vec::with_capacity(young);
                for (id, section) in std::mem::take(&mut self.young) {
                    self.append(id, &section, &mut bytes)?;
                }
                image = Some((offset as u64, bytes));
            }
        }
        if rewrite {
            let beginning = self.rewrite(manifest, copy, &sections, room, fetch)?;
            return Ok(HeadWrites { image, beginning });
        }
        // The directory names the places of the young sections. Its length does not depend on them.
        let mut places = Vec::with_capacity(sections.len());
        let mut young: Vec<u8> = Vec::new();
        let first_young = HEADER + copy.len() + sections.len() * ENTRY;
        for section in &sections {
            places.push(match self.young.get(&section.id) {
                Some(bytes) => {
                    let place = place(first_young + young.len(), bytes)?;
                    young.extend(bytes);
                    place
                }
                None => self.placed.get(&section.id).copied().unwrap_or_default(),
            });
        }
        let mut beginning = encode(manifest.id(), copy, &places, room)?;
        beginning.extend(young);
        Ok(HeadWrites { image, beginning })
    }

    /// Keeps the sections that are referred to, and gets those that are missing, as many as the image has room for. A
    /// quarter of it stays free. Otherwise every commit would have to rewrite it.
    fn choose(&mut self, sections: &[SectionRef], room: usize, fetch: &mut Fetch<'_>) {
        let live_max = (MAX - room) / 4 * 3;
        let mut live = 0;
        let mut chosen = HashSet::new();
        for section in sections {
            let len = usize::try_from(section.len).unwrap_or(MAX);
            if live + len > live_max {
                continue;
            }
            let known =
                self.placed.contains_key(&section.id) || self.young.contains_key(&section.id);
            if !known {
                match fetch(section, None).filter(|bytes| bytes.len() == len && len > 0) {
                    Some(bytes) => drop(self.young.insert(section.id.clone(), bytes)),
                    None => continue,
                }
            }
            live += len;
            chosen.insert(&section.id);
        }
        self.placed.retain(|id, _| chosen.contains(id));
        self.young.retain(|id, _| chosen.contains(id));
    }

    fn append(&mut self, id: SectionId, section: &[u8], bytes: &mut Vec<u8>) -> Result<()> {
        self.placed.insert(id, place(self.end, section)?);
        self.end += section.len();
        bytes.extend(section);
        Ok(())
    }

    /// All of HEAD, with every section in the image.
    fn rewrite(
        &mut self,
        manifest: &Manifest,
        copy: &[u8],
        sections: &[SectionRef],
        room: usize,
        fetch: &mut Fetch<'_>,
    ) -> Result<Vec<u8>> {
        let mut young = std::mem::take(&mut self.young);
        let placed = std::mem::take(&mut self.placed);
        (self.room, self.end) = (room, room);
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(sections.len());
        for section in sections {
            let known = placed.get(&section.id).copied();
            let from_young = young.remove(&section.id);
            if known.is_some() || from_young.is_some() {
                let whole = |bytes: &Vec<u8>| bytes.len() as u64 == section.len;
                if let Some(found) = from_young.or_else(|| fetch(section, known)).filter(whole) {
                    self.append(section.id.clone(), &found, &mut bytes)?;
                }
            }
            places.push(self.placed.get(&section.id).copied().unwrap_or_default());
        }
        let mut beginning = encode(manifest.id(), copy, &places, room)?;
        beginning.resize(room, 0);
        beginning.extend(bytes);
        Ok(beginning)
    }
}

fn place(offset: usize, section: &[u8]) -> Result<Place> {
    let number = |value: usize| {
        u32::try_from(value).map_err(|error| damaged(HEAD, "an offset").because(error))
    };
    Ok(Place {
        offset: number(offset)?,
        len: number(section.len())?,
        crc: crc(section),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;
    use crate::format::manifest::{Body, Cause, Container, ContainerId, Segment, Span};
    use crate::mapping::Definition;
    use crate::numbers::Version;

    /// A manifest with segments in bundles of their own, with hot sections of these lengths by their bundle's number.
    fn manifest(version: u64, hot: &BTreeMap<u64, u64>) -> Manifest {
        let mut body = Body::empty(Cause::Commit, 0, Definition::default());
        for (container, (number, len)) in hot.iter().enumerate() {
            let uuid = Uuid::from_u128(u128::from(*number) * 0x9E37_79B9_7F4A_7C15);
            body.containers.push(Container {
                id: ContainerId::Bundle(crate::layout::bundle_name(Version::new(*number), uuid)),
                uuid,
                base: 0,
                len: 0,
            });
            body.segments.push(Segment {
                id: uuid,
                max_doc: 1,
                ledger: false,
                container,
                files: BTreeMap::new(),
                hot: Span {
                    offset: 7,
                    len: *len,
                },
                hot_copy: None,
                deletes: None,
            });
        }
        Manifest::empty(Version::new(version), Uuid::nil(), body)
    }

    fn bytes_of(section: &SectionRef) -> Vec<u8> {
        let mut bytes = format!("{:?}", section.id).into_bytes();
        bytes.resize(usize::try_from(section.len).unwrap(), b'.');
        bytes
    }

    /// Writes HEAD; gives the bytes that it took.
    fn write(image: &mut Image, head: &mut Vec<u8>, manifest: &mut Manifest) -> usize {
        let file = manifest.encode_file(&[]).unwrap();
        let copy = Manifest::copy_of(&file, "m").unwrap();
        let before = head.clone();
        let mut fetch = |section: &SectionRef, place: Option<Place>| match place {
            Some(place) => place.section(&before).map(<[u8]>::to_vec),
            None => Some(bytes_of(section)),
        };
        let writes = image.update(manifest, &copy, &mut fetch).unwrap();
        let mut written = 0;
        for (offset, bytes) in writes.image.into_iter().chain([(0, writes.beginning)]) {
            let offset = usize::try_from(offset).unwrap();
            let end = offset + bytes.len();
            head.resize(head.len().max(end), 0);
            head[offset..end].copy_from_slice(&bytes);
            written += bytes.len();
        }
        assert!(head.len() <= MAX);
        written
    }

    fn check(head: &[u8], manifest: &Manifest) -> usize {
        let decoded = Head::decode(head.to_vec(), HEAD).unwrap();
        assert!(decoded.is_whole());
        assert_eq!(decoded.manifest.as_ref().unwrap().body, manifest.body);
        let sections = decoded.sections(manifest).unwrap();
        let all = manifest.sections().unwrap();
        let found = all.iter().filter(|section| {
            let found = sections.get(&section.id);
            assert!(found.is_none_or(|bytes| bytes == bytes_of(section)));
            found.is_some()
        });
        found.count()
    }

    /// Small segments that come and go alongside large ones, while another writer takes over now and then.
    #[test]
    fn commits_write_little_and_lose_nothing() {
        let mut image = Image::default();
        let mut head = Vec::new();
        let mut hot: BTreeMap<u64, u64> = (0..10).map(|number| (number, 50_000)).collect();
        let mut total = 0;
        const COMMITS: u64 = 2000;
        for version in 10..10 + COMMITS {
            hot.insert(version, 1500 + version % 7 * 300);
            if version % 8 == 0 {
                hot.retain(|&number, _| number < 10 || number % 64 == 0);
                hot.retain(|&number, _| number < 10 || number + 1000 > version);
            }
            let mut manifest = manifest(version, &hot);
            let written = write(&mut image, &mut head, &mut manifest);
            total += if version == 10 { 0 } else { written };
            assert_eq!(check(&head, &manifest), hot.len(), "{version}");
            if version % 97 == 0 {
                image = Image::of(&Head::decode(head.clone(), HEAD).unwrap()).unwrap();
            }
        }
        let average = total / usize::try_from(COMMITS).unwrap();
        assert!(average < 24 * 1024, "{average} bytes a commit");
    }

    /// More sections than there is room for: readers fetch those from their files, and HEAD is not rewritten each time.
    #[test]
    fn an_index_with_more_than_fits() {
        let mut image = Image::default();
        let mut head = Vec::new();
        let mut hot: BTreeMap<u64, u64> = (0..100).map(|number| (number, 40_000)).collect();
        let mut total = 0;
        for version in 100..400 {
            hot.remove(&(version - 50));
            hot.insert(version, 2000);
            let mut manifest = manifest(version, &hot);
            let written = write(&mut image, &mut head, &mut manifest);
            total += if version == 100 { 0 } else { written };
            assert!(check(&head, &manifest) > 15, "{version}");
        }
        assert!(total / 300 < 64 * 1024, "{} bytes a commit", total / 300);
    }

    /// A copy that is long for once is left out, and comes back.
    #[test]
    fn a_long_copy_is_left_out() {
        let (mut image, mut head) = Default::default();
        let hot = BTreeMap::from([(1, 3000)]);
        for (version, keys) in [(2, 0), (3, 100_000), (4, 0)] {
            let mut manifest = manifest(version, &hot);
            let key = |number: u64| {
                crc(&number.to_le_bytes())
                    .wrapping_mul(crc(b"x"))
                    .to_string()
            };
            manifest.body.touched = (0..keys).map(key).collect();
            write(&mut image, &mut head, &mut manifest);
            let decoded = Head::decode(head.clone(), HEAD).unwrap();
            assert_eq!(decoded.manifest.is_some(), keys == 0);
            assert_eq!((decoded.has_copy, decoded.id), (keys == 0, manifest.id()));
            let section = &manifest.sections().unwrap()[0];
            let sections = decoded.sections(&manifest).unwrap();
            assert_eq!(sections.get(&section.id), Some(&*bytes_of(section)));
        }
    }

    /// One writer's beginning over another's image.
    #[test]
    fn a_section_of_another_segment_is_not_taken() {
        let heads = [1, 2].map(|number| {
            let (mut image, mut head) = Default::default();
            let mut manifest = manifest(3, &BTreeMap::from([(number, 60_000)]));
            write(&mut image, &mut head, &mut manifest);
            (head, manifest)
        });
        let [(first, manifest), (second, _)] = &heads;
        let room = Head::decode(first.clone(), HEAD).unwrap().image_offset;
        assert_eq!(first.len(), second.len());
        let mut mixed = second.clone();
        mixed[..room].copy_from_slice(&first[..room]);
        let decoded = Head::decode(mixed, HEAD).unwrap();
        assert!(!decoded.is_whole());
        let sections = decoded.sections(manifest).unwrap();
        assert_eq!(sections.get(&manifest.sections().unwrap()[0].id), None);
    }
}

//! As much of ONC RPC (RFC 5531), NFSv4.1 (RFC 8881) and NFS 3 (RFC 1813) as tells what a call is for.

use std::collections::BTreeMap;

/// The operations that tests ask for by name; RFC 8881, section 18.
const NAMES: [(u32, &str); 23] = [
    (3, "ACCESS"),
    (4, "CLOSE"),
    (5, "COMMIT"),
    (6, "CREATE"),
    (11, "LINK"),
    (27, "READLINK"),
    (12, "LOCK"),
    (14, "LOCKU"),
    (15, "LOOKUP"),
    (18, "OPEN"),
    (25, "READ"),
    (26, "READDIR"),
    (28, "REMOVE"),
    (29, "RENAME"),
    (34, "SETATTR"),
    (38, "WRITE"),
    (42, "EXCHANGE_ID"),
    (43, "CREATE_SESSION"),
    (44, "DESTROY_SESSION"),
    (45, "FREE_STATEID"),
    (53, "SEQUENCE"),
    (57, "DESTROY_CLIENTID"),
    (58, "RECLAIM_COMPLETE"),
];

/// The version of NFS whose calls do one thing each.
const NFS_3: u32 = 3;

/// The procedures of NFS 3 that tests ask for, under the names of the operations of NFS 4 that do the same: there a link
/// is made by CREATE, and a file by OPEN; RFC 1813, section 3.
const NAMES_3: [(u32, &str); 13] = [
    (1, "GETATTR"),
    (2, "SETATTR"),
    (3, "LOOKUP"),
    (4, "ACCESS"),
    (5, "READLINK"),
    (6, "READ"),
    (7, "WRITE"),
    (8, "OPEN"),
    (9, "CREATE"),
    (10, "CREATE"),
    (12, "REMOVE"),
    (13, "REMOVE"),
    (14, "RENAME"),
];

/// What the client adds to most compounds; one that has nothing else is for it.
const GETATTR: u32 = 9;

/// Operations that only set the stage for another one, and how long their arguments are.
const STAGE: [(u32, Length); 6] = [
    (GETATTR, Length::Words),
    (22, Length::Opaque),    // PUTFH
    (24, Length::Fixed(0)),  // PUTROOTFH
    (31, Length::Fixed(0)),  // RESTOREFH
    (32, Length::Fixed(0)),  // SAVEFH
    (53, Length::Fixed(32)), // SEQUENCE: session 16, sequence, slot, highest slot, cache this
];

#[derive(Clone, Copy, Debug)]
enum Length {
    Fixed(usize),
    /// Four bytes of length, then the bytes, padded to four.
    Opaque,
    /// Four bytes of count, then as many words.
    Words,
}

/// What one RPC message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A call, and the operation it is for.
    Call { xid: u32, operation: &'static str },
    /// The reply to a call.
    Reply { xid: u32 },
}

/// Reads a message without its record mark. `None`: it is not understood.
pub(super) fn read(message: &[u8]) -> Option<Message> {
    let mut rest = message;
    let xid = word(&mut rest)?;
    if word(&mut rest)? == 1 {
        return Some(Message::Reply { xid });
    }
    // Version of RPC, program, version, procedure.
    let [_, _, version, procedure] = [
        word(&mut rest)?,
        word(&mut rest)?,
        word(&mut rest)?,
        word(&mut rest)?,
    ];
    for _ in ["credential", "verifier"] {
        word(&mut rest)?;
        skip(&mut rest, Length::Opaque)?;
    }
    let operation = match (procedure, version) {
        (0, _) => "NULL",
        (_, NFS_3) => name_of(&NAMES_3, procedure),
        _ => purpose(rest)?,
    };
    Some(Message::Call { xid, operation })
}

/// The first operation of a compound that is not about the stage.
fn purpose(mut rest: &[u8]) -> Option<&'static str> {
    let stage: BTreeMap<u32, Length> = STAGE.into_iter().collect();
    skip(&mut rest, Length::Opaque)?; // tag
    word(&mut rest)?; // minor version
    let mut purpose = "SEQUENCE";
    for _ in 0..word(&mut rest)? {
        let operation = word(&mut rest)?;
        match stage.get(&operation) {
            Some(length) => {
                skip(&mut rest, *length)?;
                if operation == GETATTR {
                    purpose = "GETATTR";
                }
            }
            None => {
                purpose = name_of(&NAMES, operation);
                break;
            }
        }
    }
    Some(purpose)
}

fn name_of(names: &[(u32, &'static str)], number: u32) -> &'static str {
    let known = names.iter().find(|(known, _)| *known == number);
    known.map_or("OTHER", |(_, name)| name)
}

fn word(rest: &mut &[u8]) -> Option<u32> {
    let (word, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*word))
}

fn skip(rest: &mut &[u8], length: Length) -> Option<()> {
    let length = match length {
        Length::Fixed(length) => length,
        Length::Opaque => usize::try_from(word(rest)?).ok()?.next_multiple_of(4),
        Length::Words => usize::try_from(word(rest)?).ok()?.checked_mul(4)?,
    };
    *rest = rest.get(length..)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operations: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut words = vec![7, 0, 2, 100_003, 4, 1, 1, 0, 0, 0, 0, 1];
        words.push(u32::try_from(operations.len()).unwrap());
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_be_bytes).collect();
        for (number, arguments) in operations {
            bytes.extend(number.to_be_bytes());
            bytes.extend(arguments);
        }
        bytes
    }

    #[test]
    fn a_call_of_nfs_3_is_named_by_what_does_the_same_in_nfs_4() {
        let symlink = [7, 0, 2, 100_003, 3, 10, 1, 0, 0, 0];
        let bytes: Vec<u8> = symlink.into_iter().flat_map(u32::to_be_bytes).collect();
        let expected = Message::Call {
            xid: 7,
            operation: "CREATE",
        };
        assert_eq!(read(&bytes), Some(expected));
    }

    #[test]
    fn a_compound_is_named_by_what_it_is_for() {
        let handle = vec![0, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        let link = call(&[
            (53, vec![0; 32]),
            (22, handle.clone()),
            (32, vec![]),
            (22, handle),
            (11, vec![]),
        ]);
        let expected = Message::Call {
            xid: 7,
            operation: "LINK",
        };
        assert_eq!(read(&link), Some(expected));
        assert_eq!(
            read(&[0, 0, 0, 9, 0, 0, 0, 1]),
            Some(Message::Reply { xid: 9 })
        );
        let attributes = (GETATTR, vec![0, 0, 0, 1, 0, 0, 0, 7]);
        let close = call(&[(53, vec![0; 32]), attributes.clone(), (4, vec![])]);
        let expected_close = Message::Call {
            xid: 7,
            operation: "CLOSE",
        };
        assert_eq!(read(&close), Some(expected_close));
        let look = call(&[(53, vec![0; 32]), attributes]);
        assert_eq!(
            read(&look),
            Some(Message::Call {
                xid: 7,
                operation: "GETATTR"
            })
        );
        for end in 0..link.len() - 4 {
            assert_ne!(read(&link[..end]), Some(expected));
        }
    }
}

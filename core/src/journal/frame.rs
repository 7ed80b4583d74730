//! How payloads are laid into a segment, and found again in one that was damaged.

/// The first bytes of every segment: what it is, and the format's version.
pub const MAGIC: [u8; 8] = *b"SGJRNL02";
/// Those of the version before, which is still read: events are the same but for what they have at their end.
pub const MAGIC_1: [u8; 8] = *b"SGJRNL01";
/// Bytes before a payload: its length and the checksum.
pub const HEAD: usize = 8;
/// No payload is longer. What claims to be is damage.
pub const PAYLOAD_MAX: usize = 16 << 20;

/// What stands at some place of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// A whole frame: its payload, and where the next one begins.
    Frame(&'a [u8], usize),
    /// Nothing: zeros, or the end of the file.
    End,
    /// Something that is no frame: torn, or damaged.
    Bad,
}

/// Whether a file begins like a segment that this version reads.
pub fn is_segment(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC) || bytes.starts_with(&MAGIC_1)
}

/// Appends a frame whose payload `fill` writes.
pub fn put(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; HEAD]);
    fill(out);
    // INVARIANT: payloads are far below 4 GiB; one over `PAYLOAD_MAX` is refused before it gets here.
    let len = u32::try_from(out.len() - at - HEAD).unwrap_or(u32::MAX).to_le_bytes();
    let Some((head, payload)) = out.get_mut(at..).and_then(|frame| frame.split_at_mut_checked(HEAD)) else {
        return;
    };
    let sum = checksum(len, payload).to_le_bytes();
    if let Some((first, second)) = head.split_at_mut_checked(4) {
        first.copy_from_slice(&len);
        second.copy_from_slice(&sum);
    }
}

/// Reads what stands at `at`.
pub fn read(segment: &[u8], at: usize) -> Read<'_> {
    let rest = segment.get(at..).unwrap_or_default();
    let Some((head, after)) = rest.split_first_chunk::<HEAD>() else {
        return if rest.iter().all(|byte| *byte == 0) { Read::End } else { Read::Bad };
    };
    let [a, b, c, d, e, f, g, h] = *head;
    let (len, sum) = ([a, b, c, d], u32::from_le_bytes([e, f, g, h]));
    let payload = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
    if payload == 0 {
        // A frame is never empty; a head of zeros is the part of the file that nobody has written yet.
        return if sum == 0 { Read::End } else { Read::Bad };
    }
    match after.get(..payload).filter(|_| payload <= PAYLOAD_MAX) {
        Some(bytes) if checksum(len, bytes) == sum => Read::Frame(bytes, at + HEAD + payload),
        _ => Read::Bad,
    }
}

/// The next whole frame at or after `at`, wherever it begins: its place and its payload. For what is behind damage.
pub fn find(segment: &[u8], at: usize) -> Option<(usize, &[u8])> {
    let mut at = at;
    // BOUND: the segment's length. Few places look like a frame.
    loop {
        // A length is never 0, so one of its four bytes isn't: what is empty is skipped at once.
        let empty = segment.get(at..)?.iter().position(|byte| *byte != 0)?;
        at += empty.saturating_sub(3);
        if let Read::Frame(payload, _) = read(segment, at) {
            return Some((at, payload));
        }
        at += 1;
    }
}

fn checksum(len: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len);
    hasher.update(payload);
    hasher.finalize()
}

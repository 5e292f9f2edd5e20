//! Where the body of a request ends, and what is in it.
//!
//! Bytes go in as they arrive, and it never takes more of them than belong to the body: what
//! follows is the next request.

use super::error::Error;
use super::head::Framing;

/// The longest the line before a chunk may be, in bytes: a size, and extensions nobody uses.
const CHUNK_LINE_BYTES_MAX: usize = 256;
/// The longest what follows the last chunk may be, in bytes. It is not kept.
const TRAILER_BYTES_MAX: usize = 4 * 1024;
/// What is reserved at once for a body, in bytes: a length that was merely announced takes no
/// memory.
const RESERVED_BYTES_MAX: usize = 64 * 1024;

/// A body that is being received.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    bytes_max: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes are still to come.
    Length(u64),
    /// In the line before a chunk: its size so far, and how many bytes of the line there were.
    Size {
        size: usize,
        seen: usize,
        place: Place,
    },
    /// In a chunk, with so many bytes to come.
    Chunk(usize),
    /// Behind a chunk: the line end, and how many bytes of it there were.
    ChunkEnd(usize),
    /// Behind the last chunk: how many bytes there were, and how many of them in this line.
    Trailer {
        seen: usize,
        in_line: usize,
        last: u8,
    },
    Done,
}

const LINE: State = State::Size { size: 0, seen: 0, place: Place::Digits };

/// Where in the line before a chunk. Lines end as the standard says, and in no other way: a bare
/// line feed may not be the end to whoever stands in front of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Digits,
    Extension,
    LineFeed,
}

impl Body {
    /// A body to come. It is refused at once where it says that it is too large.
    pub(super) fn new(framing: Framing, bytes_max: usize) -> Result<Self, Error> {
        let (reserved, state) = match framing {
            Framing::Empty => (0, State::Done),
            Framing::Chunked => (0, LINE),
            Framing::Length(length) => match usize::try_from(length) {
                Ok(bytes) if bytes <= bytes_max => (bytes, State::Length(length)),
                _ => return Err(Error::BodyTooLarge(bytes_max)),
            },
        };
        let bytes = Vec::with_capacity(reserved.min(RESERVED_BYTES_MAX));
        Ok(Self { bytes, bytes_max, state })
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How much of it has been received.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The body, once it is done.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes what belongs to the body from the beginning of `input`: so many bytes.
    pub(super) fn take(&mut self, input: &[u8]) -> Result<usize, Error> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            at += self.step(&input[at..])?;
        }
        Ok(at)
    }

    /// Takes at least one byte.
    fn step(&mut self, input: &[u8]) -> Result<usize, Error> {
        let first = input[0];
        let (taken, next) = match self.state {
            State::Length(left) => {
                let taken = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.bytes.extend_from_slice(&input[..taken]);
                let left = left - taken as u64;
                (taken, if left == 0 { State::Done } else { State::Length(left) })
            }
            State::Chunk(left) => {
                let taken = input.len().min(left);
                self.bytes.extend_from_slice(&input[..taken]);
                let left = left - taken;
                (taken, if left == 0 { State::ChunkEnd(0) } else { State::Chunk(left) })
            }
            State::ChunkEnd(0) if first == b'\r' => (1, State::ChunkEnd(1)),
            State::ChunkEnd(1) if first == b'\n' => (1, LINE),
            State::ChunkEnd(_) => return Err(broken()),
            State::Size { size, seen, place } => (1, self.size(first, size, seen + 1, place)?),
            State::Trailer { seen, in_line, last } => (1, trailer(first, seen + 1, in_line, last)?),
            State::Done => unreachable!("the caller has looked"),
        };
        self.state = next;
        Ok(taken)
    }

    /// One byte of the line before a chunk, the `seen`th.
    fn size(&self, byte: u8, size: usize, seen: usize, place: Place) -> Result<State, Error> {
        if seen > CHUNK_LINE_BYTES_MAX {
            return Err(broken());
        }
        let digit = char::from(byte).to_digit(16);
        match (place, byte, digit) {
            (Place::Digits, _, Some(digit)) => {
                let size = size * 16 + digit as usize;
                if self.bytes.len() + size > self.bytes_max {
                    return Err(Error::BodyTooLarge(self.bytes_max));
                }
                Ok(State::Size { size, seen, place })
            }
            // Nothing has been said yet.
            (Place::Digits, _, None) if seen == 1 => Err(broken()),
            (Place::Digits | Place::Extension, b'\r', _) => {
                Ok(State::Size { size, seen, place: Place::LineFeed })
            }
            (Place::Digits, b';' | b' ' | b'\t', _) => {
                Ok(State::Size { size, seen, place: Place::Extension })
            }
            (Place::Extension, b' '..=b'~' | b'\t', _) => Ok(State::Size { size, seen, place }),
            (Place::LineFeed, b'\n', _) if size == 0 => {
                Ok(State::Trailer { seen: 0, in_line: 0, last: 0 })
            }
            (Place::LineFeed, b'\n', _) => Ok(State::Chunk(size)),
            _ => Err(broken()),
        }
    }
}

/// One byte behind the last chunk. An empty line ends the body.
fn trailer(byte: u8, seen: usize, in_line: usize, last: u8) -> Result<State, Error> {
    match (last, byte) {
        (b'\r', b'\n') if in_line == 1 => Ok(State::Done),
        _ if seen > TRAILER_BYTES_MAX => Err(broken()),
        (b'\r', b'\n') => Ok(State::Trailer { seen, in_line: 0, last: byte }),
        (b'\r', _) | (_, b'\n') => Err(broken()),
        _ => Ok(State::Trailer { seen, in_line: in_line + 1, last: byte }),
    }
}

fn broken() -> Error {
    Error::request("the chunks of the body do not read")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 100;

    /// The body and how much was left over, given `pieces` bytes at a time; or the status.
    fn received(framing: Framing, input: &[u8], pieces: usize) -> Result<(Vec<u8>, usize), u16> {
        let status = |error: Error| error.status().as_u16();
        let mut body = Body::new(framing, MAX).map_err(status)?;
        let mut taken = 0;
        for piece in input.chunks(pieces) {
            taken += body.take(piece).map_err(status)?;
            if body.is_done() {
                break;
            }
        }
        if body.is_done() { Ok((body.into_bytes(), input.len() - taken)) } else { Err(0) }
    }

    #[test]
    fn a_body_ends_where_it_says() {
        let chunked = Framing::Chunked;
        let cases: [(Framing, &[u8], &[u8], usize); 7] = [
            (Framing::Empty, b"GET /", b"", 5),
            (Framing::Length(5), b"helloGET /", b"hello", 5),
            (chunked, b"0\r\n\r\nGET /", b"", 5),
            (chunked, b"5\r\nhello\r\n0\r\n\r\nGET /", b"hello", 5),
            (chunked, b"002\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n", b"hello", 0),
            (chunked, b"a \r\n0123456789\r\n0\r\n\r\n", b"0123456789", 0),
            (chunked, b"1\r\nA\r\n0\r\nTrailer: x\r\nB: y\r\n\r\nGET /", b"A", 5),
        ];
        for (framing, input, body, left) in cases {
            for pieces in 1..=input.len() {
                let expected = Ok((body.to_vec(), left));
                assert_eq!(received(framing, input, pieces), expected, "{input:?} by {pieces}");
            }
        }
    }

    #[test]
    fn too_much_is_refused_before_it_is_read() {
        assert_eq!(received(Framing::Length(101), b"", 1), Err(413));
        assert_eq!(received(Framing::Length(u64::MAX), b"", 1), Err(413));
        assert_eq!(received(Framing::Chunked, b"65", 1), Err(413));
        assert_eq!(received(Framing::Chunked, b"ffffffffffffffffffffffff", 1), Err(413));
        let twice = [b"64\r\n", &[b'a'; MAX][..], b"\r\n1"].concat();
        assert_eq!(received(Framing::Chunked, &twice, 7), Err(413));
    }

    #[test]
    fn broken_chunks_are_refused() {
        let long = format!("1;{}", "a".repeat(CHUNK_LINE_BYTES_MAX));
        let trailer = format!("0\r\nA: {}", "b".repeat(TRAILER_BYTES_MAX));
        let cases = [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            ";a\r\n",
            "1\n",
            "1;a\n",
            "1\r\r\n",
            "1\r\nAB",
            "1\r\nA\n",
            "1\r\nA\r\r",
            "0\r\n\n",
            "0\r\nA: b\n",
            "0\r\n\rA",
            &long,
            &trailer,
        ];
        for input in cases {
            assert_eq!(received(Framing::Chunked, input.as_bytes(), 3), Err(400), "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused_without_harm(input: Vec<u8>, pieces in 1..10_usize) {
            _ = received(Framing::Chunked, &input, pieces);
        }
    }
}

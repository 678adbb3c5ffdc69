//! Deterministic changes to seeds, for where no fuzzer is at hand.

/// Bytes that parsers care about.
const TOKENS: [&[u8]; 30] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\\ud800",
    b"=#",
    b"=",
    b"+",
    b"*",
    b"**",
    b"/",
    b"..",
    b"@sha256:",
    b"\x00",
    b"\x30\x80",
    b"\x30\x84\xff\xff\xff\xff",
    b"\x05\x00",
    b"\x02\x01\x00",
    b"\xd2\x84",
    b"\x9f\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
];

/// Longest input that is made.
const MAX_BYTES: usize = 128 * 1024;

/// Makes inputs out of seeds, the same ones each time.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// Starts from what `name` says.
    pub fn of(name: &str) -> Self {
        // FNV-1a: any start that is not 0 will do.
        let state = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self { state: state | 1 }
    }

    /// Xorshift64*.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Less than `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).expect("64 bits");
        usize::try_from(self.next() % end).expect("less than a usize")
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A short span of `length` bytes, now and then a long one.
    fn span(&mut self, length: usize) -> std::ops::Range<usize> {
        let most = if self.below(8) == 0 { length } else { 16 };
        let start = self.below(length + 1);
        let size = self.below(most.min(length - start) + 1);
        start..start + size
    }

    /// One of `seeds`, with one to six things changed.
    pub fn make(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let at = self.below(seeds.len());
        let mut bytes = seeds[at].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes, seeds);
        }
        bytes.truncate(MAX_BYTES);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let span = self.span(bytes.len());
        let start = span.start;
        match self.below(9) {
            0 | 1 if !bytes.is_empty() => {
                let at = self.below(bytes.len());
                bytes[at] ^= 1 << self.below(8);
            }
            2 if !bytes.is_empty() => {
                let at = self.below(bytes.len());
                bytes[at] = self.byte();
            }
            3 => drop(bytes.drain(span)),
            4 => {
                let token = TOKENS[self.below(TOKENS.len())];
                bytes.splice(start..start, token.iter().copied());
            }
            5 => {
                let token = TOKENS[self.below(TOKENS.len())];
                bytes.splice(span, token.iter().copied());
            }
            6 => {
                let again = bytes[span].to_vec();
                bytes.splice(start..start, again);
            }
            7 => {
                let other = &seeds[self.below(seeds.len())];
                let piece = other[self.span(other.len())].to_vec();
                bytes.splice(span, piece);
            }
            _ => {
                let size = 1 + self.below(8);
                let more: Vec<u8> = (0..size).map(|_| self.byte()).collect();
                bytes.splice(start..start, more);
            }
        }
    }
}

//! Checkpoints: signed notes about a tree (C2SP tlog-checkpoint, signed-note).

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{key::Key, merkle::Hash};

/// A note about a tree.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// First line.
    pub origin: String,
    /// Second line.
    pub size: u64,
    /// Third line.
    pub root: Hash,
    /// Lines below.
    pub extensions: Vec<String>,
    /// What is signed instead of these lines.
    pub instead: Option<String>,
    /// Signature lines, in this order.
    pub signatures: Vec<Line>,
}

/// A signature line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Who signs.
    pub name: String,
    /// Which key: the start of its id.
    pub hint: [u8; 4],
    /// The signature.
    pub signature: Vec<u8>,
}

impl Checkpoint {
    /// A note that nobody has signed.
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extensions: Vec::new(), instead: None, signatures: Vec::new() }
    }

    /// What is signed: all lines up to the empty one.
    pub fn text(&self) -> String {
        let Self { origin, size, root, extensions, instead, .. } = self;
        if let Some(instead) = instead {
            return instead.clone();
        }
        let mut text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
        for line in extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Adds a signature over what the note now says. `id`: the key's, of which the hint is the start.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(&mut self, name: &str, id: &[u8], key: &Key) -> anyhow::Result<()> {
        let hint = id.first_chunk().copied().unwrap_or_default();
        let signature = key.sign(self.text().as_bytes())?;
        self.signatures.push(Line { name: name.to_owned(), hint, signature });
        Ok(())
    }

    /// The whole note.
    pub fn note(&self) -> String {
        let mut note = format!("{}\n", self.text());
        for Line { name, hint, signature } in &self.signatures {
            let signature = STANDARD.encode([&hint[..], signature].concat());
            // Writing to a string does not fail.
            let _ = writeln!(note, "\u{2014} {name} {signature}");
        }
        note
    }
}

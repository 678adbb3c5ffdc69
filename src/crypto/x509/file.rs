//! Certificates as operators keep them: PEM bundles, DER, DER after DER.

use super::{Certificate, CertificateError};
use crate::reason::Code;
use der::{Reader as _, SliceReader};

/// Largest certificate file that is read: a full public root program has about 250 KiB.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

const BEGIN: &str = "-----BEGIN ";

/// Why a file holds no usable certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A certificate that cannot be used.
    #[error("certificate {position} of the file cannot be used")]
    Certificate {
        /// Which, from 1.
        position: usize,
        /// Why.
        source: CertificateError,
    },
    /// Nothing in it.
    #[error("file has no certificate")]
    Empty,
    /// Neither PEM nor DER.
    #[error("file is neither PEM nor DER")]
    Junk,
    /// A PEM block of another kind, such as a private key.
    #[error("file has a PEM block {label:?}, only CERTIFICATE is allowed")]
    Label {
        /// Its label.
        label: String,
    },
    /// A PEM block that cannot be read.
    #[error("PEM block {position} of the file is malformed")]
    Pem {
        /// Which, from 1.
        position: usize,
    },
    /// Too large.
    #[error("file has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
}

impl FileError {
    /// The stable code.
    pub const fn code(&self) -> Code {
        Code::NoTrust
    }
}

/// All certificates of a file, in its order; at least one. Text around PEM blocks is ignored, as everywhere.
///
/// # Errors
/// [`FileError`]: one bad certificate refuses the file.
pub fn certificates_from_file_bytes(bytes: &[u8]) -> Result<Vec<Certificate>, FileError> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(FileError::TooLarge { size: bytes.len(), limit: MAX_FILE_BYTES });
    }
    if bytes.trim_ascii().is_empty() {
        return Err(FileError::Empty);
    }
    // DER of a certificate starts with a SEQUENCE of two length bytes, which no text does.
    let blocks = if bytes.starts_with(&[0x30, 0x82]) { der_blocks(bytes) } else { pem_blocks(bytes) }?;
    let parsed = (1..).zip(blocks).map(|(position, block)| {
        Certificate::parse(&block).map_err(|source| FileError::Certificate { position, source })
    });
    parsed.collect()
}

fn der_blocks(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
    let mut reader = SliceReader::new(bytes).map_err(|_| FileError::Junk)?;
    let mut blocks = Vec::new();
    while !reader.is_finished() {
        blocks.push(reader.tlv_bytes().map_err(|_| FileError::Junk)?.to_vec());
    }
    Ok(blocks)
}

fn pem_blocks(bytes: &[u8]) -> Result<Vec<Vec<u8>>, FileError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FileError::Junk)?;
    let mut lines = text.lines().map(str::trim_end);
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        let position = blocks.len().saturating_add(1);
        let label = match line.strip_prefix(BEGIN) {
            Some(label) => label,
            // Indented or behind a byte order mark: others skip such a block, and a root is missing unnoticed.
            None if line.contains(BEGIN) => return Err(FileError::Pem { position }),
            None => continue,
        };
        let Some(label) = label.strip_suffix("-----") else { return Err(FileError::Pem { position }) };
        if label != "CERTIFICATE" {
            return Err(FileError::Label { label: label.chars().take(64).collect() });
        }
        let mut base64 = String::new();
        loop {
            match lines.next() {
                Some("-----END CERTIFICATE-----") => break,
                Some(line) => base64.push_str(line.trim()),
                None => return Err(FileError::Pem { position }),
            }
        }
        blocks.push(decode(&base64).ok_or(FileError::Pem { position })?);
    }
    if blocks.is_empty() { Err(FileError::Junk) } else { Ok(blocks) }
}

fn decode(base64: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(base64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testing::{Chain, good_chain};

    fn pem(label: &str, der: &[u8]) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<String> =
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    // Item 50; X-15
    #[test]
    fn pem_bundles_der_and_der_after_der_load_in_their_order() {
        let Chain { der, .. } = good_chain();
        let bundle: String = der.iter().map(|der| pem("CERTIFICATE", der)).collect();
        let commented = format!("# our root\n{bundle}\n");
        for (name, bytes) in [
            ("bundle", bundle.clone().into_bytes()),
            ("CRLF", bundle.replace('\n', "\r\n").into_bytes()),
            ("text around", commented.into_bytes()),
            ("DER", der.concat()),
        ] {
            let loaded = certificates_from_file_bytes(&bytes).expect(name);
            assert!(loaded.iter().map(Certificate::der).eq(der.iter().map(Vec::as_slice)), "{name}");
        }
        assert_eq!(certificates_from_file_bytes(&der[0]).unwrap().len(), 1);
    }

    #[test]
    fn files_with_anything_else_are_refused_whole() {
        let Chain { der, .. } = good_chain();
        let good = pem("CERTIFICATE", &der[0]);
        let file = |text: &str| certificates_from_file_bytes(text.as_bytes()).unwrap_err();
        assert!(matches!(file(""), FileError::Empty));
        assert!(matches!(file(" \n"), FileError::Empty));
        assert!(matches!(file("junk"), FileError::Junk));
        assert!(matches!(file(&format!("\u{feff}{good}")), FileError::Pem { position: 1 }));
        assert!(matches!(file(&format!("{good} {good}")), FileError::Pem { position: 2 }));
        assert!(
            matches!(file(&format!("{good}{}", pem("PRIVATE KEY", b"secret"))), FileError::Label { label } if label == "PRIVATE KEY")
        );
        assert!(matches!(file(&good.replace("-----END", "-----ENDE")), FileError::Pem { position: 1 }));
        assert!(matches!(file(&good.replace("MII", "!!!")), FileError::Pem { position: 1 }));
        assert!(matches!(
            file(&format!("{good}{}", pem("CERTIFICATE", b"junk"))),
            FileError::Certificate { position: 2, .. }
        ));
        let cut = [der[0].as_slice(), &der[1][..100]].concat();
        assert!(matches!(certificates_from_file_bytes(&cut), Err(FileError::Junk)));
        let pkcs7 = include_bytes!("vectors/pkcs7.der");
        assert!(matches!(certificates_from_file_bytes(pkcs7), Err(FileError::Certificate { position: 1, .. })));
        assert!(matches!(certificates_from_file_bytes(&[0xff; 10]), Err(FileError::Junk)));
        assert!(matches!(
            certificates_from_file_bytes(&vec![b'a'; MAX_FILE_BYTES + 1]),
            Err(FileError::TooLarge { .. })
        ));
    }
}

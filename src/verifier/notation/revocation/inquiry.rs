//! One certificate: whom it names, who is asked, and what each of them says.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use url::Url;

use super::{
    Ask, Online, Revocation,
    decide::{Standing, Word, method, standing, wants_crl},
    source::{CrlSource, OcspSource, question},
};
use crate::{
    crypto::{
        crl::{Listing, VerifiedCrl},
        ocsp::{self, Status},
        x509::{Certificate, DistributionPoint, RevocationAddresses},
    },
    reason,
};

/// A certificate in question.
#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    certificate: &'a Certificate,
    issuer: &'a Certificate,
    ask: Ask,
}

/// What was said, and when it would be asked again.
type Said = (Word, Option<Duration>);

/// What is known of a certificate.
pub(super) struct Found {
    pub(super) standing: Standing,
    /// By what.
    pub(super) method: &'static str,
    /// Why CRLs stood in for OCSP.
    pub(super) fallback: Option<String>,
    /// When it would be asked again.
    pub(super) again: Option<Duration>,
}

impl Found {
    fn of(ocsp: Word, crl: Word, again: Option<Duration>) -> Self {
        let method = method(&ocsp, &crl);
        let (standing, fallback) = standing(ocsp, crl);
        Self { standing, method, fallback, again }
    }
}

impl Revocation {
    /// What is known of a certificate.
    pub(super) async fn inquire(&self, certificate: &Certificate, issuer: &Certificate, ask: Ask) -> Found {
        let subject = Subject { certificate, issuer, ask };
        let addresses = match certificate.revocation_addresses() {
            Ok(addresses) => addresses,
            // There may be addresses: nothing but a revocation at hand says anything.
            Err(error) => {
                let crl = match self.listed(subject) {
                    Word::Revoked(how) => Word::Revoked(how),
                    Word::Good(_) | Word::Unavailable(_) | Word::Unknown(_) | Word::Unnamed => {
                        Word::Unavailable(reason::chain(&error))
                    }
                };
                return Found::of(Word::Unnamed, crl, None);
            }
        };
        let (ocsp, again) = self.ocsp(subject, &addresses).await;
        let (crl, crl_again) =
            if wants_crl(&ocsp) { self.crl(subject, &addresses).await } else { (Word::Unnamed, None) };
        Found::of(ocsp, crl, again.into_iter().chain(crl_again).min())
    }

    /// What responders say, and responses at hand.
    async fn ocsp(&self, subject: Subject<'_>, addresses: &RevocationAddresses) -> Said {
        let Subject { certificate, issuer, .. } = subject;
        let mut at_hand = None;
        for response in self.preloaded.responses(certificate, issuer) {
            match subject.hears(response) {
                Ok(Word::Revoked(how)) => return (Word::Revoked(how), None),
                Ok(word) => at_hand = Some(word),
                Err(why) => at_hand = at_hand.or(Some(Word::Unavailable(why))),
            }
        }
        let Some(urls) = &addresses.ocsp else { return (at_hand.unwrap_or(Word::Unnamed), None) };
        let (asked, again) = match &self.online {
            _ if urls.is_empty() => {
                unavailable("it names OCSP responders, none of which can be asked (plain http only)")
            }
            None => unavailable("OCSP responders are not asked (offline)"),
            Some(online) => subject.ask_responders(online, urls).await,
        };
        match (asked, at_hand) {
            (Word::Unavailable(_), Some(word @ (Word::Good(_) | Word::Unknown(_)))) => (word, again),
            (asked, _) => (asked, again),
        }
    }

    /// What the certificate's distribution points say: each of them is to answer (D9). Lists at hand speak for all of them.
    async fn crl(&self, subject: Subject<'_>, addresses: &RevocationAddresses) -> Said {
        let listed = self.listed(subject);
        match (&listed, addresses.points.is_empty()) {
            (Word::Unnamed, true) if addresses.names_freshest_crl => {
                return unavailable("it names a delta CRL and no base, which is not supported");
            }
            (Word::Revoked(_), _) | (_, true) => return (listed, None),
            (_, false) => {}
        }
        let asked = join_all(addresses.points.iter().map(|point| self.point(subject, point))).await;
        let mut all: Option<Word> = None;
        let again = asked.iter().filter_map(|(_, again)| *again).min();
        for (word, _) in asked {
            all = Some(match (all, word) {
                (Some(Word::Revoked(how)), _) | (_, Word::Revoked(how)) => Word::Revoked(how),
                (Some(Word::Good(one)), Word::Good(other)) => Word::Good(one.min(other)),
                (None | Some(Word::Good(_)), word) | (Some(word), _) => word,
            });
        }
        match (all, listed) {
            (Some(Word::Unavailable(_)), Word::Good(until)) => (Word::Good(until), again),
            (all, _) => (all.unwrap_or(Word::Unnamed), again),
        }
    }

    /// What lists at hand say that are about all certificates of the issuer.
    fn listed(&self, subject: Subject<'_>) -> Word {
        let mut word = Word::Unnamed;
        for list in self.preloaded.lists(subject.issuer) {
            match subject.reads(&list, None) {
                Ok(Word::Revoked(how)) => return Word::Revoked(how),
                Ok(Word::Good(until)) => word = Word::Good(until),
                // A list that is about something else leaves it open.
                Ok(Word::Unavailable(_) | Word::Unknown(_) | Word::Unnamed) | Err(_) => {}
            }
        }
        word
    }

    /// What one distribution point says: its addresses are alternatives.
    async fn point(&self, subject: Subject<'_>, point: &DistributionPoint) -> Said {
        let Subject { issuer, .. } = subject;
        let at = point.urls.iter().filter_map(|url| self.preloaded.list_at(url, issuer));
        let at_hand: Vec<_> =
            at.chain(self.preloaded.lists(issuer)).map(|list| subject.reads(&list, Some(point))).collect();
        if let Some(Ok(revoked)) = at_hand.iter().find(|word| matches!(word, Ok(Word::Revoked(_)))) {
            return (revoked.clone(), None);
        }
        let (asked, again) = match &self.online {
            _ if point.urls.is_empty() => {
                unavailable("a CRL distribution point has no address that can be asked (plain http only)")
            }
            None => unavailable("CRL servers are not asked (offline)"),
            Some(online) => subject.ask_point(online, point).await,
        };
        let good = at_hand.iter().flatten().find(|word| matches!(word, Word::Good(_)));
        match (asked, good) {
            (Word::Unavailable(_), Some(good)) => (good.clone(), again),
            (Word::Unavailable(why), None) => {
                let at_hand = at_hand.into_iter().filter_map(Result::err);
                (Word::Unavailable(std::iter::once(why).chain(at_hand).collect::<Vec<_>>().join("; ")), again)
            }
            (word, _) => (word, again),
        }
    }
}

fn unavailable(why: &str) -> Said {
    (Word::Unavailable(why.to_owned()), None)
}

impl Subject<'_> {
    async fn ask_responders(self, online: &Online, urls: &[Url]) -> Said {
        let Online { way, evidence } = online;
        let (certificate, issuer) = (Arc::new(self.certificate.clone()), Arc::new(self.issuer.clone()));
        let source = OcspSource { certificate, issuer, urls: urls.to_vec() };
        let obtained = evidence.ocsp.obtain(source, way, self.ask).await;
        let heard = obtained.held.map(|held| self.hears(&held.item));
        let word = match (heard, obtained.why) {
            (Some(Ok(word)), _) => word,
            (_, Some(why)) => Word::Unavailable(why.to_string()),
            (Some(Err(why)), None) => Word::Unavailable(why),
            (None, None) => Word::Unavailable("no response".to_owned()),
        };
        (word, Some(obtained.again))
    }

    async fn ask_point(self, online: &Online, point: &DistributionPoint) -> Said {
        let Online { way, evidence } = online;
        let issuer = Arc::new(self.issuer.clone());
        let mut faults = Vec::new();
        let mut again: Option<Duration> = None;
        for url in &point.urls {
            let source = CrlSource { url: url.clone(), issuer: Arc::clone(&issuer) };
            let obtained = evidence.crls.obtain(source, way, self.ask).await;
            again = again.into_iter().chain([obtained.again]).min();
            let read = obtained.held.map(|held| self.reads(&held.item, Some(point)));
            match (read, obtained.why) {
                (Some(Ok(word)), _) => return (word, again),
                (_, Some(why)) => faults.push(why.to_string()),
                (Some(Err(why)), None) => faults.push(why),
                (None, None) => {}
            }
        }
        (Word::Unavailable(faults.join("; ")), again)
    }

    /// What a response says; `Err`: nothing about this certificate, now.
    fn hears(self, response: &ocsp::Response) -> Result<Word, String> {
        let statement = response.verify(&question(self.certificate, self.issuer, self.ask));
        let statement = statement.map_err(|error| reason::chain(&error))?;
        Ok(match statement.status() {
            Status::Good => Word::Good(statement.valid_until()),
            Status::Revoked(revocation) => Word::Revoked(format!("OCSP: {revocation}")),
            Status::Unknown => Word::Unknown("the OCSP responder does not know it".to_owned()),
        })
    }

    /// What a list says; `Err`: nothing about this certificate, now.
    fn reads(self, list: &VerifiedCrl, point: Option<&DistributionPoint>) -> Result<Word, String> {
        let listing = list.lookup(&question(self.certificate, self.issuer, self.ask), point);
        match listing.map_err(|error| reason::chain(&error))? {
            Listing::NotRevoked { next_update } => Ok(Word::Good(next_update)),
            Listing::Revoked(revocation) => Ok(Word::Revoked(format!("CRL: {revocation}"))),
        }
    }
}

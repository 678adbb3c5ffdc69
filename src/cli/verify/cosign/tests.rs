use clap::Parser as _;

use super::*;
use crate::cli::Cli;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    cosign: Cosign,
    #[command(flatten)]
    workflow: GithubWorkflow,
    #[arg(long)]
    config: Option<String>,
    #[arg(long)]
    trust_policy: Option<String>,
    #[arg(long)]
    trust_store: Option<String>,
    #[arg(long)]
    user_metadata: Option<String>,
}

fn policy(arguments: &[&str]) -> (Option<String>, PolicyConfig) {
    let line = Line::try_parse_from(["verify"].iter().chain(arguments)).unwrap_or_else(|error| panic!("{error}"));
    line.cosign.into_policy(line.workflow).unwrap()
}

const WHO: [&str; 4] = ["--certificate-identity", "s", "--certificate-oidc-issuer", "i"];

#[test]
fn flags_are_a_trust_policy() {
    let public = Some(RootConfig::of_instance(Instance::PublicGood));
    let (wanted, keyed) = policy(&["--key", "/k1", "--key", "/k2", "--signature-digest-algorithm", "sha512"]);
    assert_eq!(wanted, None);
    let keys = keyed.keys.unwrap();
    assert_eq!(
        keys.iter().filter_map(|key| key.file.clone()).collect::<Vec<_>>(),
        [PathBuf::from("/k1"), "/k2".into()]
    );
    assert!(keys.iter().all(|key| key.hash_algorithm == Some(HashAlgorithm::Sha512)));
    assert_eq!((keyed.trusted_root, keyed.identities), (public.clone(), None), "cosign's own default for keys");

    let (_, offline) = policy(&["--key", "/k", "--insecure-ignore-tlog", "-a", "build=42", "--annotations", "x=a=b"]);
    assert_eq!((offline.trusted_root, offline.ignore_tlog), (None, true));
    assert_eq!(
        offline.annotations.into_iter().collect::<Vec<_>>(),
        [("build".into(), "42".into()), ("x".into(), "a=b".into())]
    );

    let (wanted, keyless) =
        policy(&[&WHO[..], &["--type", "vuln", "--certificate-github-workflow-ref", "main"]].concat());
    assert_eq!(wanted.as_deref(), Some("https://cosign.sigstore.dev/attestation/vuln/v1"));
    assert_eq!((keyless.trusted_root, keyless.keys), (public, None));
    let identity = &keyless.identities.unwrap()[0];
    assert_eq!((identity.issuer.as_deref(), identity.subject.as_deref()), (Some("i"), Some("s")));
    assert_eq!(identity.claims.get("githubWorkflowRef").map(String::as_str), Some("main"));

    let expressions = ["--certificate-identity-regexp", "s.*", "--certificate-oidc-issuer-regexp", "i.*"];
    let (_, keyless) = policy(&[&expressions[..], &["--trusted-root", "github"]].concat());
    assert_eq!(keyless.trusted_root, Some(RootConfig::of_instance(Instance::GitHub)));
    let identity = &keyless.identities.unwrap()[0];
    assert_eq!((identity.issuer_reg_exp.as_deref(), identity.subject_reg_exp.as_deref()), (Some("i.*"), Some("s.*")));
    let (_, keyless) = policy(&[&WHO[..], &["--trusted-root", "/github"]].concat());
    assert_eq!(keyless.trusted_root, Some(RootConfig::of_file("/github".into())));

    let own = ["--ca-roots", "/r", "--ca-intermediates", "/i", "--insecure-ignore-tlog", "--insecure-ignore-sct"];
    let (_, own) = policy(&[&WHO[..], &own].concat());
    assert_eq!((own.trusted_root, own.use_current_time, own.ignore_sct), (None, true, true));
    assert_eq!(own.ca_roots.unwrap()[0].file, Some(PathBuf::from("/r")));
    let (_, own) = policy(&[&WHO[..], &["--ca-roots", "/r"]].concat());
    assert!(own.trusted_root.is_some() && !own.use_current_time);
}

#[test]
fn what_the_flags_say_is_a_configuration_that_compiles() {
    let registries = registry::Config::default;
    for arguments in [&WHO[..], &[&WHO[..], &["--type", "https://acme.example/x"]].concat()] {
        let line = Line::try_parse_from(["verify"].iter().chain(arguments)).unwrap();
        let config = line.cosign.into_config(line.workflow, Some(7), registries(), ".".into()).unwrap();
        let compiled = match &config.verifiers[0].kind {
            crate::config::VerifierKind::Cosign(cosign) => cosign.compile(&config.base),
            crate::config::VerifierKind::Attestation(attestation) => attestation.compile(&config.base),
            crate::config::VerifierKind::Exec(_) | crate::config::VerifierKind::Notation(_) => {
                panic!("another verifier")
            }
        };
        let compiled = compiled.unwrap_or_else(|faults| panic!("{arguments:?}: {faults:?}"));
        assert_eq!((compiled.max_attempts, compiled.policies.len()), (7, 1));
    }
}

// R76, COS-29
#[test]
fn flags_that_make_no_sense_together_are_refused() {
    let parsed = |arguments: &[&str]| {
        Cli::try_parse_from(["countersign", "verify", "app"].iter().chain(arguments))
            .map(|_| ())
            .map_err(|e| e.exit_code())
    };
    for good in [
        &["--key", "k"][..],
        &WHO[..],
        &["--key", "k", "--insecure-ignore-tlog", "--max-signatures", "3"],
        &["--key", "k", "--trusted-root", "github", "--plain-http", "h"],
        &[&WHO[..], &["--insecure-ignore-sct", "--insecure-ignore-tlog", "--type", "spdxjson"]].concat(),
    ] {
        assert_eq!(parsed(good), Ok(()), "{good:?}");
    }
    for bad in [
        &["--certificate-identity", "s"][..],
        &["--certificate-oidc-issuer", "i"],
        &["--certificate-identity-regexp", "s"],
        &["--trusted-root", "github"],
        &["--insecure-ignore-tlog"],
        &["--type", "vuln"],
        &["--ca-roots", "r"],
        &["--annotations", "a=b"],
        &["--signature-digest-algorithm", "sha256"],
        &["--certificate-github-workflow-ref", "main"],
        &["--key", "k", "--config", "c"],
        &["--key", "k", "--trust-policy", "p", "--trust-store", "s"],
        &["--key", "k", "--trust-store", "s"],
        &["--key", "k", "--ca-roots", "r"],
        &["--key", "k", "--insecure-ignore-sct"],
        &["--key", "k", "--type", "sbom"],
        &["--key", "k", "--type", "vuln", "-a", "a=b"],
        &["--key", "k", "-a", "a"],
        &["--key", "k", "--signature-digest-algorithm", "sha1"],
        &["--key", "k", "--user-metadata", "a=b"],
        &["--config", "c", "--insecure-ignore-tlog"],
        &["--config", "c", "--certificate-github-workflow-ref", "main"],
        &["--trust-policy", "p", "--trust-store", "s", "--certificate-github-workflow-ref", "main"],
        &["--trust-policy", "p", "--trust-store", "s", "--type", "vuln"],
        &["--key", "k", "--certificate-github-workflow-ref", "main"],
        &["--key", "k", "--ca-intermediates", "r"],
        &["--key", "k", "--certificate-identity", "s"],
        &["--config", "c", "--max-signatures", "3"],
        &[&WHO[..], &["--key", "k"]].concat(),
        &[&WHO[..], &["--certificate-identity-regexp", "s"]].concat(),
        &[&WHO[..], &["--certificate-oidc-issuer-regexp", "s"]].concat(),
        &[&WHO[..], &["--ca-intermediates", "r"]].concat(),
    ] {
        assert_eq!(parsed(bad), Err(2), "{bad:?}");
    }
}

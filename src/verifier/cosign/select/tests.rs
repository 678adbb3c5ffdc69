use proptest::prelude::*;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-21 12:00 UTC);
const HOUR: Duration = Duration::from_hours(1);

fn at(age_seconds: i64) -> Candidate {
    Candidate { time: Some(NOW - time::Duration::seconds(age_seconds)), content: Ok(()) }
}

fn undated() -> Candidate {
    Candidate { time: None, content: Ok(()) }
}

fn bad(age_seconds: i64) -> Candidate {
    let content = Err(Rejection::new(Check::Policy, Code::PolicyUnsatisfied, "has a finding"));
    Candidate { content, ..at(age_seconds) }
}

fn rule(select: Select, max_age: Option<Duration>) -> Freshness {
    Freshness { select, max_age, time_field: None }
}

/// The codes, with "" for a yes.
fn codes(freshness: &Freshness, candidates: &[Candidate], completeness: &Completeness) -> Vec<&'static str> {
    let answers = select(freshness, candidates, completeness, NOW);
    answers.iter().map(|answer| answer.as_ref().map_or_else(|error| error.code().as_str(), |_| "")).collect()
}

fn open() -> Completeness {
    Completeness::Open(Undecided::new(Code::RegistryUnavailable, "gone"))
}

const STALE: &str = "ATTESTATION_STALE";
const FUTURE: &str = "ATTESTATION_FUTURE";
const SUPERSEDED: &str = "ATTESTATION_SUPERSEDED";
const UNSATISFIED: &str = "POLICY_UNSATISFIED";
const CUT: &str = "LIMIT_EXCEEDED";
const GONE: &str = "REG_UNAVAILABLE";

#[test]
fn each_rule_keeps_what_it_says() {
    use Completeness::{Cut, Whole};
    use Select::{All, Any, Latest};
    let hour = 3600;
    for (case, select, max_age, candidates, completeness, expected) in [
        ("nothing to judge", Any, None, vec![], Whole, vec![]),
        ("any: without a limit no time is needed", Any, None, vec![undated(), at(0)], Whole, vec!["", ""]),
        ("any: each by itself", Any, Some(HOUR), vec![at(hour + 1), at(1)], Whole, vec![STALE, ""]),
        ("any: exactly maxAge passes", Any, Some(HOUR), vec![at(hour)], Whole, vec![""]),
        ("any: a second more does not", Any, Some(HOUR), vec![at(hour + 1)], Whole, vec![STALE]),
        ("any: no time, no age", Any, Some(HOUR), vec![undated()], Whole, vec![FUTURE]),
        ("any: 60 s ahead pass (COS-09)", Any, None, vec![at(-60)], Whole, vec![""]),
        ("any: 61 s ahead do not", Any, None, vec![at(-61)], Whole, vec![FUTURE]),
        ("any: a list that was cut proves no less", Any, Some(HOUR), vec![at(1)], Cut, vec![""]),
        ("any: nor one with gaps", Any, Some(HOUR), vec![at(1)], open(), vec![""]),
        ("any: a bad one hides no good one", Any, None, vec![bad(0), at(5)], Whole, vec![UNSATISFIED, ""]),
        ("latest: the newest alone", Latest, None, vec![at(9), at(1), at(5)], Whole, vec![SUPERSEDED, "", SUPERSEDED]),
        ("latest: a newer bad one decides", Latest, None, vec![at(9), bad(1)], Whole, vec![SUPERSEDED, UNSATISFIED]),
        ("latest: an older bad one does not", Latest, None, vec![bad(9), at(1)], Whole, vec![UNSATISFIED, ""]),
        ("latest: of a tie all pass", Latest, None, vec![at(1), at(1)], Whole, vec!["", ""]),
        ("latest: of a tie the worse decides", Latest, None, vec![at(1), bad(1)], Whole, vec![SUPERSEDED, UNSATISFIED]),
        ("latest: the newest is too old", Latest, Some(HOUR), vec![at(9999)], Whole, vec![STALE]),
        (
            "latest: one of the future is the newest",
            Latest,
            None,
            vec![at(-61), at(1)],
            Whole,
            vec![FUTURE, SUPERSEDED],
        ),
        (
            "latest: one without a time may be newer",
            Latest,
            None,
            vec![undated(), at(1)],
            Whole,
            vec![FUTURE, SUPERSEDED],
        ),
        ("latest: not of a cut list", Latest, None, vec![at(9), at(1)], Cut, vec![SUPERSEDED, CUT]),
        ("latest: not with gaps", Latest, None, vec![at(1)], open(), vec![GONE]),
        ("all: all are good", All, Some(HOUR), vec![at(1), at(2)], Whole, vec!["", ""]),
        ("all: one is bad", All, None, vec![at(1), bad(2)], Whole, vec![SUPERSEDED, UNSATISFIED]),
        ("all: one is old", All, Some(HOUR), vec![at(1), at(9999)], Whole, vec![SUPERSEDED, STALE]),
        ("all: no time is needed", All, None, vec![undated()], Whole, vec![""]),
        ("all: not of a cut list", All, None, vec![at(1)], Cut, vec![CUT]),
        ("all: not with gaps", All, None, vec![at(1)], open(), vec![GONE]),
        ("all: a no stays a no beside gaps", All, None, vec![at(1), bad(1)], open(), vec![SUPERSEDED, UNSATISFIED]),
    ] {
        assert_eq!(codes(&rule(select, max_age), &candidates, &completeness), expected, "{case}");
    }
}

#[test]
fn a_time_field_that_is_not_there_is_no_time() {
    let freshness = Freshness { time_field: Some("/predicate/at".to_owned()), ..Freshness::default() };
    assert_eq!(codes(&freshness, &[undated()], &Completeness::Whole), [FUTURE]);
    let answers = select(&freshness, &[undated()], &Completeness::Whole, NOW);
    assert!(answers[0].as_ref().unwrap_err().reason().contains("/predicate/at"));
}

#[test]
fn a_yes_lasts_until_the_first_that_it_rests_on_is_too_old() {
    let until = |select_by, candidates: &[Candidate]| {
        let kept = select(&rule(select_by, Some(HOUR)), candidates, &Completeness::Whole, NOW);
        kept.into_iter().map(|kept| (kept.unwrap().until.unwrap() - NOW).whole_seconds()).collect::<Vec<_>>()
    };
    assert_eq!(until(Select::Any, &[at(600), at(1200)]), [3001, 2401]);
    assert_eq!(until(Select::All, &[at(600), at(1200)]), [2401, 2401]);
    assert_eq!(until(Select::Latest, &[at(600)]), [3001]);
    let ever = select(&rule(Select::Any, None), &[at(600)], &Completeness::Whole, NOW);
    assert_eq!(ever[0].as_ref().unwrap().until, None);
    let far = rule(Select::Any, Some(Duration::MAX));
    assert!(select(&far, &[at(600)], &Completeness::Whole, NOW)[0].as_ref().is_ok_and(|kept| kept.until.is_none()));
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let time = prop_oneof![3 => (-200_i64..9000).prop_map(Some), 1 => Just(None)];
    (time, prop::bool::weighted(0.8)).prop_map(|(age, good)| {
        let time = age.map(|age| NOW - time::Duration::seconds(age / 100 * 100));
        let content = if good { Ok(()) } else { bad(0).content };
        Candidate { time, content }
    })
}

fn freshness(selects: Vec<Select>) -> impl Strategy<Value = Freshness> {
    let age = prop_oneof![Just(None), (1_u64..8000).prop_map(|seconds| Some(Duration::from_secs(seconds)))];
    (prop::sample::select(selects), age).prop_map(|(select, max_age)| rule(select, max_age))
}

fn passes(freshness: &Freshness, candidates: &[Candidate], completeness: &Completeness) -> bool {
    select(freshness, candidates, completeness, NOW).iter().any(Result::is_ok)
}

const EACH: [Select; 3] = [Select::All, Select::Any, Select::Latest];

proptest! {
    #[test]
    fn order_never_decides(rule in freshness(EACH.to_vec()), mut all in prop::collection::vec(candidate(), 0..6), turn in 0_usize..6) {
        let before = codes(&rule, &all, &Completeness::Whole);
        let turn = turn % all.len().max(1);
        all.rotate_left(turn);
        let mut after = codes(&rule, &all, &Completeness::Whole);
        after.rotate_right(turn);
        prop_assert_eq!(before, after);
    }

    // R119
    #[test]
    fn under_any_one_more_never_takes_a_yes_away(rule in freshness(vec![Select::Any]), all in prop::collection::vec(candidate(), 0..5), one in candidate()) {
        let before = passes(&rule, &all, &Completeness::Whole);
        let mut more = all;
        more.push(one);
        prop_assert!(!before || passes(&rule, &more, &Completeness::Whole));
    }

    // R119's named exceptions: what takes a yes away is newer, as new, or without a time; for `all`, it fails itself.
    #[test]
    fn under_latest_and_all_one_more_takes_a_yes_away_only_for_what_it_is(rule in freshness(vec![Select::Latest, Select::All]), all in prop::collection::vec(candidate(), 1..5), one in candidate()) {
        let newest = all.iter().filter_map(|candidate| candidate.time).max();
        let fails = select(&rule, std::slice::from_ref(&one), &Completeness::Whole, NOW)[0].is_err();
        let time = one.time;
        let before = passes(&rule, &all, &Completeness::Whole);
        let mut more = all;
        more.push(one);
        if before && !passes(&rule, &more, &Completeness::Whole) {
            prop_assert!(fails);
            prop_assert!(rule.select == Select::All || time.is_none_or(|time| Some(time) >= newest));
        }
    }

    #[test]
    fn what_passes_passes_alone_and_a_stricter_rule_keeps_no_more(rule in freshness(EACH.to_vec()), all in prop::collection::vec(candidate(), 0..6)) {
        let alone = Freshness { select: Select::Any, ..rule.clone() };
        let loose = select(&alone, &all, &Completeness::Whole, NOW);
        for (strict, loose) in select(&rule, &all, &Completeness::Whole, NOW).iter().zip(&loose) {
            prop_assert!(strict.is_err() || loose.is_ok());
        }
        for completeness in [Completeness::Cut, open()] {
            prop_assert!(rule.select == Select::Any || !passes(&rule, &all, &completeness));
        }
        let whole = select(&rule, &all, &Completeness::Whole, NOW);
        prop_assert!(rule.select != Select::All || whole.iter().all(Result::is_ok) || whole.iter().all(Result::is_err));
    }

    #[test]
    fn a_yes_is_true_until_it_says_and_no_longer(rule in freshness(EACH.to_vec()), all in prop::collection::vec(candidate(), 1..5)) {
        for (index, kept) in select(&rule, &all, &Completeness::Whole, NOW).iter().enumerate() {
            let Ok(Kept { until: Some(until) }) = kept else { continue };
            prop_assert!(*until > NOW);
            prop_assert!(select(&rule, &all, &Completeness::Whole, *until - time::Duration::SECOND)[index].is_ok());
            prop_assert!(select(&rule, &all, &Completeness::Whole, *until)[index].is_err());
        }
    }
}

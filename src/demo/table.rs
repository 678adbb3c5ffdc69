//! What the demo shows: a table for people, JSON for machines.

use std::fmt::Write as _;

use serde::Serialize;

/// Whether output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With ANSI escapes; only for a terminal, and not where `NO_COLOR` is set.
    Ansi,
    /// Plain text.
    Never,
}

/// What was decided about a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    Admitted,
    Refused,
}

impl Decision {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
        }
    }
}

/// One Pod's fate.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) story: String,
    pub(crate) images: Vec<String>,
    pub(crate) decision: Decision,
    /// Codes of all violations, sorted, without repetition.
    pub(crate) codes: Vec<String>,
    /// In words, of the first violation.
    pub(crate) reason: String,
    /// Gatekeeper's texts.
    pub(crate) violations: Vec<String>,
    pub(crate) registry_calls: usize,
    #[serde(skip)]
    pub(crate) calls: String,
    pub(crate) milliseconds: f64,
    pub(crate) as_expected: bool,
}

/// Something else that must hold.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) found: String,
    pub(crate) as_expected: bool,
}

/// All that was seen.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) images: Vec<Row>,
    pub(crate) pods: Vec<Row>,
    pub(crate) checks: Vec<Check>,
    pub(crate) as_expected: bool,
}

impl Report {
    /// Concludes: everything was there, and as expected.
    pub(crate) fn conclude(mut self) -> Self {
        let rows = || self.images.iter().chain(&self.pods);
        let complete = !self.images.is_empty() && !self.pods.is_empty() && !self.checks.is_empty();
        let right = rows().all(|row| row.as_expected) && self.checks.iter().all(|check| check.as_expected);
        self.as_expected = complete && right;
        self
    }

    /// The tables.
    pub(crate) fn text(&self, colour: Colour) -> String {
        let mut out = String::new();
        out.push_str(&table("IMAGE", &self.images, colour));
        out.push('\n');
        out.push_str(&table("POD", &self.pods, colour));
        out.push('\n');
        for check in &self.checks {
            let (sign, paint) = if check.as_expected { ("✓", GREEN) } else { ("✗", RED) };
            // Writing to a String does not fail.
            let _ = writeln!(out, "{} {}: {}", painted(sign, paint, colour), check.name, check.found);
        }
        if let Some((row, said)) = self.pods.iter().find_map(|row| Some((row, row.violations.first()?))) {
            let _ =
                writeln!(out, "\nWhat Gatekeeper tells whoever creates {}:\n  [images-are-verified] {said}", row.name);
        }
        let (text, paint) = if self.as_expected {
            ("every decision was the expected one", GREEN)
        } else {
            ("NOT as expected: look for ✗", RED)
        };
        let _ = writeln!(out, "\n{}", painted(text, paint, colour));
        out
    }
}

const GREEN: &str = "32";
const RED: &str = "31";
const DIM: &str = "2";
const BOLD: &str = "1";
const HEADS: [&str; 6] = ["", "DECISION", "REASON", "REGISTRY WAS ASKED", "TIME", "WHAT IT IS"];

fn painted(text: &str, paint: &str, colour: Colour) -> String {
    match colour {
        Colour::Ansi => format!("\u{1b}[{paint}m{text}\u{1b}[0m"),
        Colour::Never => text.to_owned(),
    }
}

fn table(first: &str, rows: &[Row], colour: Colour) -> String {
    let mut head = HEADS.map(str::to_owned);
    if let Some(cell) = head.first_mut() {
        first.clone_into(cell);
    }
    let cells: Vec<[String; 6]> = rows.iter().map(cells_of).collect();
    let widths = std::array::from_fn(|column| {
        std::iter::once(&head)
            .chain(&cells)
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    });
    let mut out = format!("  {}\n", painted(line(&head, &widths).trim_end(), BOLD, colour));
    for (row, cells) in rows.iter().zip(&cells) {
        let (sign, paint) = match (row.as_expected, row.decision) {
            (false, _) => ("✗", RED),
            (true, Decision::Admitted) => ("✓", GREEN),
            (true, Decision::Refused) => ("•", GREEN),
        };
        let _ =
            writeln!(out, "{} {}", painted(sign, paint, colour), painted_line(row.decision, cells, &widths, colour));
    }
    out
}

fn cells_of(row: &Row) -> [String; 6] {
    let codes = if row.codes.is_empty() { "VERIFIED".to_owned() } else { row.codes.join(", ") };
    [
        row.name.clone(),
        row.decision.as_str().to_owned(),
        codes,
        row.calls.clone(),
        format!("{:.1} ms", row.milliseconds),
        row.story.clone(),
    ]
}

fn padded(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count())))
}

fn line(cells: &[String; 6], widths: &[usize; 6]) -> String {
    cells.iter().zip(widths).map(|(cell, width)| padded(cell, *width)).collect::<Vec<_>>().join("  ")
}

fn painted_line(decision: Decision, texts: &[String; 6], widths: &[usize; 6], colour: Colour) -> String {
    let verdict = match decision {
        Decision::Admitted => GREEN,
        Decision::Refused => RED,
    };
    let [name, decision, code, calls, time, story] = texts;
    let [name_width, decision_width, code_width, calls_width, time_width, _] = widths;
    [
        padded(name, *name_width),
        painted(&padded(decision, *decision_width), verdict, colour),
        padded(code, *code_width),
        painted(&padded(calls, *calls_width), DIM, colour),
        format!("{}{time}", " ".repeat(time_width.saturating_sub(time.chars().count()))),
        painted(story, DIM, colour),
    ]
    .join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(decision: Decision, as_expected: bool) -> Row {
        Row {
            name: "signed".to_owned(),
            story: "signed by us".to_owned(),
            images: Vec::new(),
            decision,
            codes: Vec::new(),
            reason: String::new(),
            violations: Vec::new(),
            registry_calls: 4,
            calls: "2 manifests".to_owned(),
            milliseconds: 1.25,
            as_expected,
        }
    }

    fn check(as_expected: bool) -> Check {
        Check { name: "client without a certificate".to_owned(), found: "refused".to_owned(), as_expected }
    }

    #[test]
    fn report_is_as_expected_only_where_everything_was_seen_and_right() {
        let good = || row(Decision::Admitted, true);
        let full = Report { images: vec![good()], pods: vec![good()], checks: vec![check(true)], as_expected: false };
        assert!(full.clone().conclude().as_expected);
        for broken in [
            Report { images: Vec::new(), ..full.clone() },
            Report { pods: Vec::new(), ..full.clone() },
            Report { checks: Vec::new(), ..full.clone() },
            Report { images: vec![good(), row(Decision::Admitted, false)], ..full.clone() },
            Report { pods: vec![row(Decision::Refused, false)], ..full.clone() },
            Report { checks: vec![check(true), check(false)], ..full.clone() },
        ] {
            assert!(!broken.conclude().as_expected);
        }
    }

    #[test]
    fn colour_appears_only_where_it_is_asked_for() {
        let report = Report { images: vec![row(Decision::Refused, true)], ..Report::default() };
        assert!(!report.text(Colour::Never).contains('\u{1b}'));
        assert!(report.text(Colour::Ansi).contains("\u{1b}[31mrefused"));
    }

    #[test]
    fn columns_line_up() {
        let mut long = row(Decision::Admitted, true);
        long.name = "a-longer-name".to_owned();
        let text = table("IMAGE", &[row(Decision::Refused, true), long], Colour::Never);
        let at: Vec<_> = text.lines().map(|line| line.chars().collect::<Vec<_>>().len()).collect();
        assert!(text.lines().skip(1).all(|line| line.ends_with("signed by us")), "{text}");
        assert_eq!(at[1], at[2], "{text}");
    }
}

//! Files that are large, hostile or broken: `jetway check` answers within bounds of work and memory, whatever they hold.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// The most memory that a check may take, in KiB of addresses.
const MEMORY: u64 = 1_536 * 1024;
/// The most time that a check may take, in seconds of a processor. A debug build takes tens of times what a release build does.
const WORK: u64 = if cfg!(debug_assertions) { 120 } else { 20 };
/// The largest file that is read.
const LIMIT: usize = 10 * 1024 * 1024;

/// The answer of `jetway check --format json`.
struct Answer {
    ok: bool,
    problems: Vec<String>,
    /// Everything that was printed.
    output: String,
}

/// A folder for the files of one test.
struct Place(TempDir);

impl Place {
    fn new() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn check(&self, content: impl AsRef<[u8]>) -> Result<Answer> {
        std::fs::write(self.path().join("jetway.yaml"), content)?;
        let output = self.run(&["--format", "json"])?;
        let answer: Value = serde_json::from_str(&output).with_context(|| output.clone())?;
        let problems = answer["problems"].as_array().context("problems")?;
        let told = |problem: &Value| {
            let line = problem["line"].as_u64().unwrap_or_default();
            format!(
                "{line}: {}",
                problem["message"].as_str().unwrap_or_default()
            )
        };
        Ok(Answer {
            ok: answer["ok"] == true,
            problems: problems.iter().map(told).collect(),
            output,
        })
    }

    /// Runs `jetway check` within the limits; what it prints is the answer if it ends by itself.
    fn run(&self, arguments: &[&str]) -> Result<String> {
        let limits = format!("ulimit -v {MEMORY} -t {WORK} && exec \"$0\" \"$@\"");
        let output = Command::new("bash")
            .args(["-c", &limits, env!("CARGO_BIN_EXE_jetway")])
            .args(["check", "-c", "jetway.yaml"])
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (out, errors) = (text(&output.stdout), text(&output.stderr));
        let last: String = errors.chars().take(2000).collect();
        ensure!(
            matches!(output.status.code(), Some(0 | 1)),
            "{}: {last}",
            output.status
        );
        ensure!(!errors.contains("panicked"), "{last}");
        Ok(format!("{errors}{out}"))
    }
}

impl Answer {
    /// The first problem has this text in it.
    fn refused(&self, part: &str) -> Result<()> {
        let first = self.problems.first().with_context(|| self.output.clone())?;
        ensure!(first.contains(part), "{part}: {first}");
        self.is_short()
    }

    fn is_short(&self) -> Result<()> {
        let longest = self.problems.iter().map(String::len).max();
        ensure!(longest.unwrap_or_default() < 2000, "a short message");
        ensure!(self.output.len() < 1_000_000, "a short answer");
        Ok(())
    }

    fn accepted(&self) -> Result<()> {
        ensure!(self.ok, "{:?}", self.problems);
        self.is_short()
    }
}

const HEAD: &str = "insecure_server: true\n";

/// A public route.
fn route(number: usize) -> String {
    format!(
        "  - from: https://r{number}.example.com\n    to: http://10.0.0.1:{}\n    allow_public_unauthenticated_access: true\n",
        1024 + number % 60_000
    )
}

fn filled(head: &str, unit: &str, tail: &str) -> String {
    let room = LIMIT - head.len() - tail.len();
    format!("{head}{}{tail}", unit.repeat(room / unit.len()))
}

#[test]
fn a_file_above_the_limit_is_refused() -> Result<()> {
    let place = Place::new()?;
    let mut text = filled(HEAD, "#\n", "");
    text.push_str(&"#".repeat(LIMIT + 1 - text.len()));
    place.check(&text)?.refused("larger than 10 MiB")?;
    text.pop();
    place.check(&text)?.refused("no routes")
}

#[test]
fn large_files_of_one_kind_end() -> Result<()> {
    let place = Place::new()?;
    for (head, unit, tail, part) in [
        ("", "- a\n", "", "more than 1000000 values"),
        ("[", "a,", "a]", "more than 1000000 values"),
        ("[", "{},", "{}]", "more than 1000000 values"),
        ("", "a: 1\n", "", "more than 1000000 values"),
        (
            "a: |\n",
            "  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
            "",
            "no routes",
        ),
        ("a: \"", "x\\n", "\"", "no routes"),
        ("a: ", "x ", "", "no routes"),
        ("", "\n", "", "no routes"),
        ("", " ", "a: 1", "no routes"),
        ("a", "b", ": 1", ""),
        ("a: [", "[", "", "64 levels"),
        ("", ":", "", ""),
        ("", "? ", "", "64 levels"),
        ("", "- ", "", "64 levels"),
        ("", "!", "", ""),
        ("", "&a ", "", ""),
        ("", "*a ", "", ""),
        ("", "\"", "", ""),
        ("", "%TAG ! x\n", "", ""),
        ("", "--- a\n", "", "more than one YAML document"),
        ("address: ", "x", "", ""),
        ("routes:\n  - from: ", "x", "", ""),
        ("routes:\n  - from: https://a\n    to: ", "h", "", ""),
    ] {
        let answer = place.check(filled(head, unit, tail))?;
        answer
            .refused(part)
            .with_context(|| format!("{head:?} {unit:?} {tail:?}"))?;
    }
    Ok(())
}

#[test]
fn many_keys_and_many_items_end() -> Result<()> {
    let place = Place::new()?;
    let mut text = String::from(HEAD);
    for number in 0..400_000 {
        writeln!(text, "unknown{number}: 1")?;
    }
    place.check(&text)?.refused("no routes")?;
    let text: String = (0..400_000).map(|_| "address: x\n").collect();
    let answer = place.check(&text)?;
    answer.is_short()?;
    let twice = |problem: &String| problem.contains("duplicate key `address`");
    ensure!(answer.problems.iter().any(twice), "{:?}", answer.problems);
    let text = format!("{HEAD}routes:\n{}", "  - []\n".repeat(300_000));
    let answer = place.check(&text)?;
    ensure!(!answer.ok);
    answer.is_short()?;
    let shown = place.run(&[])?;
    ensure!(shown.len() < 100_000, "{} bytes", shown.len());
    Ok(())
}

#[test]
fn aliases_that_repeat_aliases_are_refused() -> Result<()> {
    let place = Place::new()?;
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{items}]")?;
    }
    place.check(&bomb)?.refused("aliases repeat")?;

    let mut merged = String::from("a0: &a0 {");
    for number in 0..1000 {
        write!(merged, "k{number}: 1, ")?;
    }
    merged.push_str("}\n");
    for number in 0..5000 {
        writeln!(merged, "b{number}: {{<<: *a0}}")?;
    }
    place.check(&merged)?.refused("aliases repeat")?;

    let mut deep = String::from("a0: &a0 [x]\n");
    for level in 1..1000 {
        writeln!(deep, "a{level}: &a{level} [*a{}]", level - 1)?;
    }
    place.check(&deep)?.refused("64 levels")
}

#[test]
fn what_is_no_text_is_refused_with_its_place() -> Result<()> {
    let place = Place::new()?;
    let answer = place.check(b"a: 1\nb: \xE4\xF6\n")?;
    answer.refused("2: the file is not UTF-8: byte 8 is 0xE4, in line 2")?;
    let mut large = filled(HEAD, "#\n", "").into_bytes();
    let middle = large.len() / 2;
    large[middle] = 0xFF;
    place.check(&large)?.refused("is 0xFF")?;
    place.check(b"\xFF\xFEa\0:\0")?.refused("UTF-16")?;
    place
        .check(b"a: x\0y\n")?
        .refused("1: the file is not valid YAML")?;
    place.check(vec![0; 1000])?.refused("not valid YAML")?;
    place.check(b"\x7FELF\x02\x01\x01")?.refused("")?;
    place.check("[routes]\nfrom = 1\n")?;
    // As an editor on Windows writes it.
    let text = format!("\u{FEFF}{HEAD}routes:\n{}", route(1)).replace('\n', "\r\n");
    place.check(&text)?.accepted()
}

#[test]
fn a_policy_of_a_hundred_thousand_criteria_ends() -> Result<()> {
    let place = Place::new()?;
    let mut text = format!(
        "{HEAD}routes:\n  - from: https://a.example.com\n    to: http://b\n    policy:\n      - allow:\n          or:\n"
    );
    for number in 0..100_000 {
        writeln!(
            text,
            "            - source_ip: 10.{}.{}.0/24",
            number / 256 % 256,
            number % 256
        )?;
    }
    let answer = place.check(&text)?;
    // Few or many, there is one clear answer.
    ensure!(
        answer.ok || answer.problems.len() == 1,
        "{:?}",
        answer.problems
    );
    answer.is_short()?;
    // All of them wrong.
    let answer = place.check(text.replace("source_ip", "source_pi"))?;
    answer.refused("unknown criterion `source_pi`")?;
    let shown = place.run(&[])?;
    ensure!(shown.contains("not shown") && shown.len() < 100_000);
    Ok(())
}

#[test]
fn ten_thousand_routes_end() -> Result<()> {
    let place = Place::new()?;
    let mut text = format!("{HEAD}routes:\n");
    for number in 0..10_000 {
        text.push_str(&route(number));
    }
    place.check(&text)?.accepted()?;
    let shown = place.run(&[])?;
    ensure!(shown.contains("ok, 10000 routes"), "{shown}");
    ensure!(shown.contains("routes[].from"), "{shown}");
    ensure!(shown.contains("and 9997 more"), "{shown}");
    // The same route again and again.
    let same = format!("{HEAD}routes:\n{}", route(1).repeat(10_000));
    let answer = place.check(&same)?;
    ensure!(!answer.ok);
    answer.is_short()
}

#[test]
fn regular_expressions_that_blow_up_are_refused() -> Result<()> {
    let place = Place::new()?;
    for pattern in [
        "((((((((((a{100}){100}){100}){100}){100}){100}){100}){100}){100}){100})",
        "(x{1000}){1000}",
        &"(".repeat(100_000),
        &"(a|b)*".repeat(20_000),
        "[[:alpha:]{99999}",
    ] {
        let text = format!("{HEAD}routes:\n{}    regex: '{pattern}'\n", route(1));
        let answer = place.check(&text)?;
        ensure!(
            !answer.ok,
            "{}",
            pattern.chars().take(80).collect::<String>()
        );
        answer.is_short()?;
    }
    // Each is small; together they are not.
    let mut text = format!("{HEAD}routes:\n");
    for number in 0..10_000 {
        text.push_str(&route(number));
        writeln!(text, "    regex: '/(\\w{{50}}|[a-z]{{50}}){{3}}'")?;
    }
    place.check(&text)?.is_short()
}

#[test]
fn a_problem_in_a_long_line_is_shown_in_its_surroundings() -> Result<()> {
    let place = Place::new()?;
    let mut text =
        String::from("{\"insecure_server\": true, \"cookie_secret\": \"aGVsbG8\", \"routes\": [");
    for number in 0..15_000 {
        let comma = if number == 0 { "" } else { "," };
        write!(
            text,
            "{comma}{{\"from\": \"ftp://r{number}.example.com\", \"to\": \"http://b\"}}"
        )?;
    }
    text.push_str("]}");
    let answer = place.check(&text)?;
    answer.is_short()?;
    let shown = place.run(&[])?;
    let longest = shown.lines().map(str::len).max().unwrap_or_default();
    ensure!(longest < 1000, "{longest}");
    ensure!(shown.contains("ftp://r1.example.com"));
    ensure!(!shown.contains("aGVsbG8"), "a secret is shown");
    Ok(())
}

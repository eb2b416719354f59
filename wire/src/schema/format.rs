//! The part of `printf` that aggregates use: `%[flags][width][.precision]` with `d`, `i`,
//! `f`, `s` and `%%`. Formats come from schema files, so width and precision are bounded.

use serde_json::Number;

/// Widest field and longest fraction.
pub(crate) const MAX_WIDTH: usize = 200;

/// What a directive shows.
#[derive(Clone, Copy)]
pub(crate) enum Argument<'a> {
    Text(&'a str),
    Number(&'a Number),
}

#[derive(Default)]
struct Directive {
    left: bool,
    zeros: bool,
    plus: bool,
    blank: bool,
    width: usize,
    precision: Option<usize>,
}

/// Fills the arguments into the format, in turn. Arguments left over are ignored.
pub(crate) fn format(format: &str, arguments: &[Argument<'_>]) -> Result<String, String> {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut directive = Directive::default();
        while let Some(flag) = chars.next_if(|c| "-0+ ".contains(*c)) {
            match flag {
                '-' => directive.left = true,
                '0' => directive.zeros = true,
                '+' => directive.plus = true,
                _ => directive.blank = true,
            }
        }
        directive.width = number(&mut chars)?;
        if chars.next_if_eq(&'.').is_some() {
            directive.precision = Some(number(&mut chars)?);
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some(kind @ ('d' | 'i' | 'f' | 's')) => {
                let argument = arguments.next().ok_or("the format asks for more values than there are")?;
                out.push_str(&directive.show(kind, *argument)?);
            }
            Some(other) => return Err(format!("the format has the unknown directive `%{other}`")),
            None => return Err("the format ends within a directive".into()),
        }
    }
    Ok(out)
}

fn number(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<usize, String> {
    let mut value = 0usize;
    while let Some(digit) = chars.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
        value = value * 10 + digit as usize;
        if value > MAX_WIDTH {
            return Err(format!("a width in the format is above {MAX_WIDTH}"));
        }
    }
    Ok(value)
}

impl Directive {
    fn show(&self, kind: char, argument: Argument<'_>) -> Result<String, String> {
        let (negative, digits) = match (kind, argument) {
            ('s', Argument::Text(text)) => return Ok(self.pad(&self.cut(text))),
            ('s', Argument::Number(number)) => return Ok(self.pad(&self.cut(&number.to_string()))),
            (_, Argument::Text(_)) => return Err(format!("`%{kind}` in the format needs a number")),
            ('f', Argument::Number(number)) => {
                let value = number.as_f64().unwrap_or_default();
                (value.is_sign_negative(), format!("{:.*}", self.precision.unwrap_or(6), value.abs()))
            }
            (_, Argument::Number(number)) => whole(number),
        };
        let sign = match (negative, self.plus, self.blank) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        if self.zeros && !self.left {
            let width = self.width.saturating_sub(sign.len());
            return Ok(format!("{sign}{digits:0>width$}"));
        }
        Ok(self.pad(&format!("{sign}{digits}")))
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    fn pad(&self, text: &str) -> String {
        let width = self.width;
        if self.left { format!("{text:<width$}") } else { format!("{text:>width$}") }
    }
}

/// Sign and digits of the number without its fraction.
fn whole(number: &Number) -> (bool, String) {
    let text = match number.as_f64() {
        Some(float) if number.is_f64() => format!("{:.0}", float.trunc()),
        _ => number.to_string(),
    };
    match text.strip_prefix('-') {
        Some("0") => (false, "0".into()),
        Some(digits) => (true, digits.into()),
        None => (false, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_numbers_and_text() {
        let show =
            |format_text: &str, number: Number| format(format_text, &[Argument::Number(&number)]).unwrap();
        let half = Number::from_f64(30.5).unwrap();
        assert_eq!(show("Total: %d", half.clone()), "Total: 30");
        assert_eq!(show("%f|%%", half.clone()), "30.500000|%");
        assert_eq!(show("%08.2f", Number::from_f64(-30.5).unwrap()), "-0030.50");
        assert_eq!(show("%-6d|", Number::from(7)), "7     |");
        assert_eq!(show("%+i", Number::from(7)), "+7");
        assert_eq!(show("%s", half), "30.5");
        assert_eq!(
            format("%5s = %.2s", &[Argument::Text("ab"), Argument::Text("xyz")]).unwrap(),
            "   ab = xy"
        );
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let number = Number::from(1);
        for bad in ["%d %d", "%q", "%", "%5", "%999999999999d", "%.300f"] {
            assert!(format(bad, &[Argument::Number(&number)]).is_err(), "{bad}");
        }
        assert!(format("%d", &[Argument::Text("x")]).is_err());
    }
}

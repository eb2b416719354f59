//! What a schema computes over the answers of all nodes.

use std::{cmp::Ordering, collections::HashMap};

use serde_json::{Number, Value};

use super::format::{self, Argument};

/// One `aggregate` entry of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// What is computed.
    pub function: AggregateFunction,
    /// Over which output.
    pub output: String,
    /// How a value is shown, in the notation of `printf`; each function has its own default.
    pub format: Option<String>,
    /// What `boolean_summary` calls true and false.
    pub labels: [Option<String>; 2],
}

/// Functions over the answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AggregateFunction {
    /// How often each value came.
    Summary,
    /// How often true and false came.
    BooleanSummary,
    /// The sum.
    Sum,
    /// The mean, always with a fraction.
    Average,
    /// The smallest.
    Min,
    /// The greatest.
    Max,
    /// Another ecosystem's plugin: the schema loads, the aggregate is reported as one
    /// that cannot be computed.
    Unknown(String),
}

/// Why an aggregate could not be computed; the others of the action are not touched by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{function} of `{output}` could not be computed: {message}")]
pub struct AggregateError {
    /// Name of the function.
    pub function: String,
    /// The output.
    pub output: String,
    /// The reason.
    pub message: String,
}

/// A computed aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateResult {
    /// The output.
    pub output: String,
    /// The result itself.
    pub value: AggregateValue,
    /// The result as shown; empty where there was nothing to compute it from.
    pub text: String,
}

/// Result of an aggregate.
#[derive(Debug, Clone, PartialEq)]
pub enum AggregateValue {
    /// Values with their counts, most frequent first.
    Counts(Vec<(Value, u64)>),
    /// One number.
    Number(Number),
    /// A number over no values.
    Nothing,
}

impl Aggregate {
    /// Reads `{function, args: [output, {format}]}`.
    pub(crate) fn from_value(value: &Value) -> Result<Self, String> {
        let name = value.get("function").and_then(Value::as_str).ok_or("its `function` is missing")?;
        let args = value.get("args").and_then(Value::as_array).ok_or("its `args` are missing: a list")?;
        let output = args.first().and_then(Value::as_str).ok_or("its first argument must name an output")?;
        let option = |key| args.get(1).and_then(|options| options.get(key)).and_then(Value::as_str);
        Ok(Self {
            function: AggregateFunction::from_name(name),
            output: output.to_owned(),
            format: option("format").map(str::to_owned),
            labels: [option("true").map(str::to_owned), option("false").map(str::to_owned)],
        })
    }

    /// Computes over the values of the output, one from each node that answered. Nulls
    /// are skipped; of a list each element counts in a summary.
    ///
    /// # Errors
    /// When a value has no part in such a computation, the format does not fit, or the
    /// function is not known.
    pub fn compute<'v>(
        &self,
        values: impl IntoIterator<Item = &'v Value>,
    ) -> Result<AggregateResult, AggregateError> {
        let values = values.into_iter().filter(|value| !value.is_null());
        let computed = match &self.function {
            AggregateFunction::Summary => self.summary(values),
            AggregateFunction::BooleanSummary => self.boolean_summary(values),
            AggregateFunction::Unknown(_) => Err("no such function is known".into()),
            _ => self.number(values),
        };
        let (value, text) = computed.map_err(|message| AggregateError {
            function: self.function.name().to_owned(),
            output: self.output.clone(),
            message,
        })?;
        Ok(AggregateResult { output: self.output.clone(), value, text })
    }

    fn summary<'v>(&self, values: impl Iterator<Item = &'v Value>) -> Computed {
        let mut counts = Counts::default();
        for value in values {
            match value {
                Value::Array(list) => {
                    list.iter().filter(|value| !value.is_null()).for_each(|v| counts.add(v))
                }
                other => counts.add(other),
            }
        }
        let counts = counts.sorted();
        let width = counts.iter().map(|(value, _)| shown(value).chars().count()).max().unwrap_or(0);
        let format =
            self.format.clone().unwrap_or_else(|| format!("%{}s = %s", width.min(format::MAX_WIDTH)));
        lines(&format, counts)
    }

    fn boolean_summary<'v>(&self, values: impl Iterator<Item = &'v Value>) -> Computed {
        let mut tally = [0u64; 2];
        for value in values {
            let flag = value.as_bool().ok_or("an answer is no boolean")?;
            let [yes, no] = &mut tally;
            *(if flag { yes } else { no }) += 1;
        }
        let label = |at: usize, plain: bool| match self.labels.get(at) {
            Some(Some(label)) => Value::String(label.clone()),
            _ => Value::Bool(plain),
        };
        let mut counts = vec![(label(0, true), tally[0]), (label(1, false), tally[1])];
        counts.retain(|(_, count)| *count > 0);
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        lines(self.format.as_deref().unwrap_or("%5s = %s"), counts)
    }

    fn number<'v>(&self, values: impl Iterator<Item = &'v Value>) -> Computed {
        let mut numbers = Vec::new();
        for value in values {
            numbers.push(value.as_number().ok_or("an answer is no number")?);
        }
        let result = match self.function {
            _ if numbers.is_empty() => None,
            AggregateFunction::Average => {
                let mean = float_sum(&numbers) / numbers.len() as f64;
                Some(Number::from_f64(mean).ok_or("the sum behind the average is too large")?)
            }
            AggregateFunction::Min => numbers.into_iter().min_by(|a, b| compare(a, b)).cloned(),
            // Of equals the first, as with the smallest.
            AggregateFunction::Max => numbers.into_iter().rev().max_by(|a, b| compare(a, b)).cloned(),
            _ => Some(sum(&numbers).ok_or("the sum is too large")?),
        };
        let Some(number) = result else { return Ok((AggregateValue::Nothing, String::new())) };
        let format = self.format.clone().unwrap_or_else(|| {
            let output = self.output.replace('%', "%%");
            format!("{} of {output}: %f", self.function.title())
        });
        let text = format::format(&format, &[Argument::Number(&number)])?;
        Ok((AggregateValue::Number(number), text))
    }
}

type Computed = Result<(AggregateValue, String), String>;

impl AggregateFunction {
    fn from_name(name: &str) -> Self {
        match name {
            "summary" => Self::Summary,
            "boolean_summary" => Self::BooleanSummary,
            "sum" => Self::Sum,
            "average" => Self::Average,
            "min" => Self::Min,
            "max" => Self::Max,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// The name used in schema files.
    pub fn name(&self) -> &str {
        match self {
            Self::Summary => "summary",
            Self::BooleanSummary => "boolean_summary",
            Self::Sum => "sum",
            Self::Average => "average",
            Self::Min => "min",
            Self::Max => "max",
            Self::Unknown(name) => name,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Sum => "Sum",
            Self::Average => "Average",
            Self::Min => "Min",
            Self::Max => "Max",
            Self::Summary | Self::BooleanSummary | Self::Unknown(_) => "Summary",
        }
    }
}

/// Counts in the order of first sight; values of different types are different.
#[derive(Default)]
struct Counts {
    list: Vec<(Value, u64)>,
    places: HashMap<String, usize>,
}

impl Counts {
    fn add(&mut self, value: &Value) {
        let next = self.list.len();
        // Nodes need not agree on the order of the fields of an object.
        let key = if value.is_object() || value.is_array() {
            let mut sorted = value.clone();
            sorted.sort_all_objects();
            sorted.to_string()
        } else {
            value.to_string()
        };
        let place = *self.places.entry(key).or_insert(next);
        match self.list.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => self.list.push((value.clone(), 1)),
        }
    }

    /// Most frequent first, equals in name order, whatever order the answers came in.
    fn sorted(self) -> Vec<(Value, u64)> {
        let mut keyed: Vec<(String, Value, u64)> =
            self.list.into_iter().map(|(value, count)| (shown(&value), value, count)).collect();
        keyed.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| crate::nodeset::natural_order(&a.0, &b.0)));
        keyed.into_iter().map(|(_, value, count)| (value, count)).collect()
    }
}

fn lines(format: &str, counts: Vec<(Value, u64)>) -> Computed {
    let mut lines = Vec::with_capacity(counts.len());
    for (value, count) in &counts {
        let (value, count) = (shown(value), Number::from(*count));
        lines.push(format::format(format, &[Argument::Text(&value), Argument::Number(&count)])?);
    }
    Ok((AggregateValue::Counts(counts), lines.join("\n")))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// Whole while all numbers are.
fn sum(numbers: &[&Number]) -> Option<Number> {
    let whole = numbers.iter().try_fold(0i128, |sum, number| sum.checked_add(integer(number)?));
    whole.and_then(Number::from_i128).or_else(|| Number::from_f64(float_sum(numbers)))
}

fn float_sum(numbers: &[&Number]) -> f64 {
    numbers.iter().filter_map(|number| number.as_f64()).sum()
}

fn compare(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

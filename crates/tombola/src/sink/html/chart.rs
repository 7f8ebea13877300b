//! Charts as SVG: they need no script, print, and can be searched.

use super::markup::{escape, put};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const PLOT: f64 = WIDTH - LEFT - 10.0;

/// Line styles and fills there are.
const STYLES: usize = 5;

/// A line of a chart.
pub(super) struct Series {
    /// Its name in the legend.
    pub(super) name: String,
    /// Its values, one for each interval.
    pub(super) values: Vec<f64>,
}

/// Lines over the intervals, with a legend; `unit` stands at the values of the axis, `span` below it.
pub(super) fn lines(label: &str, series: &[Series], unit: &str, span: &str) -> String {
    const HEIGHT: f64 = 180.0;
    let values = || series.iter().flat_map(|s| s.values.iter().copied());
    let most = values().fold(0.0, f64::max);
    let least = values().fold(0.0, f64::min);
    let range = if most > least { most - least } else { 1.0 };
    let y = |value: f64| 10.0 + (most - value) / range * (HEIGHT - 10.0);
    let legend = 16.0 * series.len() as f64;
    let mut svg = open(label, HEIGHT + 30.0 + legend);
    for value in [least, 0.0, most] {
        put(
            &mut svg,
            format_args!(
                "<path class=\"axis\" d=\"M{LEFT} {y:.1}H{WIDTH}\"/><text x=\"{x}\" y=\"{t:.1}\" text-anchor=\"end\">{value} {unit}</text>",
                y = y(value),
                t = y(value) + 4.0,
                x = LEFT - 5.0,
                value = short(value),
                unit = escape(unit)
            ),
        );
    }
    for (at, line) in series.iter().enumerate() {
        let step = PLOT / line.values.len().saturating_sub(1).max(1) as f64;
        let mut path = String::new();
        for (n, value) in line.values.iter().enumerate() {
            let verb = if n == 0 { 'M' } else { 'L' };
            put(&mut path, format_args!("{verb}{:.1} {:.1}", LEFT + n as f64 * step, y(*value)));
        }
        let style = at % STYLES;
        let row = HEIGHT + 34.0 + 16.0 * at as f64;
        put(
            &mut svg,
            format_args!(
                "<path class=\"l{style}\" d=\"{path}\"/><path class=\"l{style}\" d=\"M{LEFT} {row}h40\"/><text x=\"{x}\" y=\"{t}\">{name}</text>",
                x = LEFT + 48.0,
                t = row + 4.0,
                name = escape(&line.name)
            ),
        );
    }
    put(&mut svg, format_args!("<text x=\"{LEFT}\" y=\"{}\">{}</text></svg>\n", HEIGHT + 16.0, escape(span)));
    svg
}

/// Parts of a whole, side by side: class, name and value of each.
pub(super) fn parts(label: &str, parts: &[(&str, String, f64)]) -> String {
    let whole: f64 = parts.iter().map(|(_, _, value)| value.max(0.0)).sum();
    let mut svg = open(label, 24.0 + 16.0 * parts.len() as f64);
    let mut x = 0.0;
    for (at, (class, name, value)) in parts.iter().enumerate() {
        let part = if whole > 0.0 { value.max(0.0) / whole } else { 0.0 };
        let width = part * WIDTH;
        let y = 22.0 + 16.0 * at as f64;
        put(
            &mut svg,
            format_args!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"16\"/>\
             <rect class=\"{class}\" x=\"0\" y=\"{y}\" width=\"12\" height=\"12\"/>\
             <text x=\"18\" y=\"{t}\">{name}: {percent:.2} %</text>",
                t = y + 10.0,
                name = escape(name),
                percent = 100.0 * part
            ),
        );
        x += width;
    }
    svg + "</svg>\n"
}

/// What each CPU did in each interval: the filled height is the busy part, that of tasks without weights on
/// top.
pub(super) fn strips(label: &str, cpus: &[(u32, Vec<(f64, f64)>)], span: &str) -> String {
    const ROW: f64 = 22.0;
    let mut svg = open(label, ROW * cpus.len() as f64 + 20.0);
    for (row, (cpu, cells)) in cpus.iter().enumerate() {
        let top = ROW * row as f64;
        let width = PLOT / cells.len().max(1) as f64;
        put(
            &mut svg,
            format_args!(
                "<text x=\"{x}\" y=\"{t}\" text-anchor=\"end\">CPU {cpu}</text><rect class=\"idle\" x=\"{LEFT}\" y=\"{top}\" width=\"{PLOT}\" height=\"18\"/>",
                x = LEFT - 5.0,
                t = top + 13.0
            ),
        );
        let (mut fair_path, mut unfair_path) = (String::new(), String::new());
        for (n, (fair, unfair)) in cells.iter().enumerate() {
            let x = LEFT + n as f64 * width;
            let (high, over) = (18.0 * fair.clamp(0.0, 1.0), 18.0 * unfair.clamp(0.0, 1.0));
            put(&mut fair_path, format_args!("M{x:.1} {:.1}v-{high:.1}h{width:.1}v{high:.1}z", top + 18.0));
            if *unfair > 0.0 {
                put(
                    &mut unfair_path,
                    format_args!("M{x:.1} {:.1}v-{over:.1}h{width:.1}v{over:.1}z", top + 18.0 - high),
                );
            }
        }
        put(
            &mut svg,
            format_args!("<path class=\"run\" d=\"{fair_path}\"/><path class=\"rt\" d=\"{unfair_path}\"/>"),
        );
    }
    let bottom = ROW * cpus.len() as f64 + 14.0;
    put(&mut svg, format_args!("<text x=\"{LEFT}\" y=\"{bottom}\">{}</text></svg>\n", escape(span)));
    svg
}

/// Bars side by side, each with its name: counts of a histogram.
pub(super) fn bars(label: &str, bars: &[(String, f64)]) -> String {
    const ROW: f64 = 15.0;
    let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(1e-9);
    let mut svg = open(label, ROW * bars.len() as f64 + 4.0);
    for (at, (name, value)) in bars.iter().enumerate() {
        let y = ROW * at as f64;
        let width = (value / most).clamp(0.0, 1.0) * 520.0;
        put(
            &mut svg,
            format_args!(
                "<text x=\"190\" y=\"{t}\" text-anchor=\"end\">{name}</text><rect class=\"wait\" x=\"200\" y=\"{r}\" width=\"{width:.1}\" height=\"11\"/>\
             <text x=\"{v:.1}\" y=\"{t}\">{value}</text>",
                t = y + 11.0,
                r = y + 2.0,
                name = escape(name),
                v = 206.0 + width,
                value = short(*value)
            ),
        );
    }
    svg + "</svg>\n"
}

/// A stretch of somebody on a CPU.
pub(super) struct Stretch {
    /// Row of the CPU.
    pub(super) cpu: usize,
    /// Begin and end, ns.
    pub(super) from_ns: u64,
    /// End.
    pub(super) to_ns: u64,
    /// How much of its row's height it has, 0 to 1.
    pub(super) part: f64,
    /// Number of the task, which gives the fill.
    pub(super) task: usize,
    /// What a pointer on it is told.
    pub(super) title: String,
}

/// Where a stretch stands in [`timeline`]: x, y, width, height.
pub(super) fn place(stretch: &Stretch, length_ns: u64) -> (f64, f64, f64, f64) {
    let scale = PLOT / length_ns.max(1) as f64;
    let from = stretch.from_ns.min(length_ns);
    let width = (stretch.to_ns.min(length_ns) - from) as f64 * scale;
    let height = (22.0 * stretch.part).clamp(1.0, 22.0);
    (LEFT + from as f64 * scale, 26.0 * stretch.cpu as f64 + 22.0 - height, width, height)
}

/// Who ran where, with a row for each of `cpus`, which are their names, a legend of the tasks, and a mark
/// that a script moves.
pub(super) fn timeline(
    label: &str,
    stretches: &[Stretch],
    cpus: &[String],
    names: &[String],
    length_ns: u64,
    span: &str,
) -> String {
    let bottom = 26.0 * cpus.len() as f64;
    let columns = 4;
    let legend = 16.0 * names.len().div_ceil(columns) as f64;
    let mut svg = open(label, bottom + 30.0 + legend);
    for (row, cpu) in cpus.iter().enumerate() {
        let y = 26.0 * row as f64;
        put(
            &mut svg,
            format_args!(
                "<text x=\"{x}\" y=\"{t}\" text-anchor=\"end\">{cpu}</text><rect class=\"idle\" x=\"{LEFT}\" y=\"{y}\" width=\"{PLOT}\" height=\"22\"/>",
                x = LEFT - 5.0,
                t = y + 15.0,
                cpu = escape(cpu)
            ),
        );
    }
    for stretch in stretches {
        let (x, y, width, height) = place(stretch, length_ns);
        let fill = stretch.task.min(STYLES);
        put(
            &mut svg,
            format_args!(
                "<rect class=\"s{fill}\" x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{height:.1}\"><title>{}</title></rect>",
                escape(&stretch.title)
            ),
        );
        if width > 14.0 && height > 14.0 {
            let room = room(width);
            let name = names.get(stretch.task).map(|name| name.chars().take(room).collect::<String>());
            put(
                &mut svg,
                format_args!(
                    "<text x=\"{:.2}\" y=\"{}\">{}</text>",
                    x + 2.0,
                    y + 15.0,
                    escape(&name.unwrap_or_default())
                ),
            );
        }
    }
    for (at, name) in names.iter().enumerate() {
        let (x, y) = (LEFT + 205.0 * (at % columns) as f64, bottom + 22.0 + 16.0 * (at / columns) as f64);
        put(
            &mut svg,
            format_args!(
                "<rect class=\"s{}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\"/><text x=\"{}\" y=\"{}\">{}</text>",
                at.min(STYLES),
                x + 18.0,
                y + 10.0,
                escape(name)
            ),
        );
    }
    put(
        &mut svg,
        format_args!(
            "<text x=\"{LEFT}\" y=\"{}\">{}</text><rect class=\"now\" width=\"0\" height=\"0\"/></svg>\n",
            bottom + 14.0,
            escape(span)
        ),
    );
    svg
}

/// Letters that have room in a stretch.
fn room(width: f64) -> usize {
    (0..100u32).take_while(|n| f64::from(n + 1) * 7.0 + 4.0 <= width).count()
}

fn open(label: &str, height: f64) -> String {
    let label = escape(label);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\">"
    )
}

/// A number with as many digits as a label has room for.
fn short(value: f64) -> String {
    if value == 0.0 || value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

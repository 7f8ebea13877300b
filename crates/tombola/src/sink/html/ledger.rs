//! Tables: the ledger, who is owed most, culprits.

use super::markup::{escape, put};
use crate::matrix::Matrix;
use crate::moment::Moment;
use crate::text::harmless;
use crate::why::why;
use tombola_core::audit::{Row, Who};

/// The ledger: a row for each row, in their order; a script sorts it, and nothing needs it.
pub(super) fn ledger(moment: &Moment, rows: &[Row]) -> String {
    const TITLES: [(&str, bool); 15] = [
        ("PID", false),
        ("Name", true),
        ("Group", true),
        ("Nice", false),
        ("Policy", true),
        ("Weight", false),
        ("Run ms", false),
        ("Wait ms", false),
        ("Entitled ms", false),
        ("Lag ms", false),
        ("Got %", false),
        ("Fair %", false),
        ("p99 wait ms", false),
        ("Longest ms", false),
        ("Preempted", false),
    ];
    let mut out = String::from("<div class=\"wide\"><table class=\"sortable\" id=\"ledger\"><thead><tr>");
    for (title, is_text) in TITLES {
        put(&mut out, format_args!("<th{}>{title}</th>", if is_text { " class=\"t\"" } else { "" }));
    }
    out.push_str("</tr></thead><tbody>\n");
    let view = moment.view();
    for row in rows {
        out.push_str("<tr>");
        let pid = match &row.who {
            Who::Task(id) => id.pid,
            _ => row.tgid.unwrap_or(0),
        };
        number(&mut out, &pid.to_string(), &pid.to_string());
        text(&mut out, &harmless(&row.comm));
        text(&mut out, &row.group.map_or_else(|| "*".to_owned(), |group| view.group(group)));
        let nice = row.nice.map_or(0, tombola_core::tickets::Nice::get);
        number(&mut out, &nice.to_string(), &row.nice.map_or_else(|| "*".to_owned(), |_| nice.to_string()));
        text(&mut out, &row.policy.map_or_else(|| "*".to_owned(), |policy| policy.to_string()));
        let weight = row.weight.unwrap_or(0);
        number(&mut out, &weight.to_string(), &row.weight.map_or_else(|| "-".to_owned(), |w| w.to_string()));
        let usage = &row.usage;
        ms(&mut out, Some(usage.runtime_ns));
        ms(&mut out, Some(usage.wait_ns));
        ms(&mut out, row.account.map(|account| account.entitled_ns));
        match row.account {
            Some(account) => {
                let lag = account.lag_ns();
                number(&mut out, &lag.to_string(), &format!("{:+.2}", lag as f64 / 1e6));
            }
            None => number(&mut out, "0", "-"),
        }
        number(&mut out, &row.got_share.to_string(), &format!("{:.2}", 100.0 * row.got_share));
        number(&mut out, &row.fair_share.to_string(), &format!("{:.2}", 100.0 * row.fair_share));
        ms(&mut out, usage.wait_quantile_ns(0.99));
        ms(&mut out, usage.longest_wait_ns());
        number(&mut out, &usage.preempted().to_string(), &usage.preempted().to_string());
        out.push_str("</tr>\n");
    }
    out + "</tbody></table></div>\n"
}

/// Who is owed most, and why.
pub(super) fn owed(moment: &Moment, rows: &[Row]) -> String {
    let mut out = String::from(
        "<div class=\"wide\"><table><thead><tr><th>PID</th><th class=\"t\">Name</th><th>Lag ms</th><th>Waited %</th>\
         <th class=\"t\">Why</th></tr></thead><tbody>\n",
    );
    for row in rows {
        let pid = row.tgid.unwrap_or(0);
        let pid = if let Who::Task(id) = &row.who { id.pid } else { pid };
        put(
            &mut out,
            format_args!(
                "<tr><td>{pid}</td><td class=\"t\">{}</td><td>{:+.2}</td><td>{:.1}</td><td class=\"t why\">{}</td></tr>\n",
                escape(&harmless(&row.comm)),
                row.lag_ns() as f64 / 1e6,
                100.0 * row.usage.imposed_wait_ns() as f64 / moment.audit.length_ns.max(1) as f64,
                escape(&why(moment, row)),
            ),
        );
    }
    out + "</tbody></table></div>\n"
}

/// Who stood in whose way: milliseconds, and preemptions where there were some.
pub(super) fn culprits(matrix: &Matrix) -> String {
    let mut out = String::from(
        "<div class=\"wide\"><table id=\"culprits\"><thead><tr><th class=\"t\">Had the CPU</th><th>All ms</th>",
    );
    for (victim, _) in &matrix.victims {
        put(&mut out, format_args!("<th>{}</th>", escape(victim)));
    }
    out.push_str("</tr></thead><tbody>\n");
    for ((culprit, all_ns), cells) in matrix.culprits.iter().zip(&matrix.cells) {
        put(
            &mut out,
            format_args!("<tr><th class=\"t\">{}</th><td>{:.1}</td>", escape(culprit), *all_ns as f64 / 1e6),
        );
        for cell in cells {
            if cell.imposed_wait_ns == 0 && cell.preemptions == 0 {
                out.push_str("<td></td>");
            } else {
                put(
                    &mut out,
                    format_args!(
                        "<td>{:.1} <span class=\"quiet\">({})</span></td>",
                        cell.imposed_wait_ns as f64 / 1e6,
                        cell.preemptions
                    ),
                );
            }
        }
        out.push_str("</tr>\n");
    }
    out + "</tbody></table></div>\n"
}

pub(super) fn number(out: &mut String, value: &str, shown: &str) {
    if value == shown {
        put(out, format_args!("<td>{shown}</td>"));
    } else {
        put(out, format_args!("<td data-v=\"{value}\">{shown}</td>"));
    }
}

fn ms(out: &mut String, ns: Option<u64>) {
    match ns {
        Some(ns) => number(out, &ns.to_string(), &format!("{:.2}", ns as f64 / 1e6)),
        None => number(out, "0", "-"),
    }
}

pub(super) fn text(out: &mut String, text: &str) {
    put(out, format_args!("<td class=\"t\">{}</td>", escape(text)));
}

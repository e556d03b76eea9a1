//! Schedules against numbers of 60 digits (`golden/schedules.py`).

use std::collections::BTreeMap;

use itd_prelude::schedule::{Betas, NoiseSchedule};

/// Step, β, log-SNR, posterior variance, coefficients of the posterior mean.
type Row = (usize, f64, f64, f64, f64, f64);

fn close(name: &str, what: &str, got: f64, want: f64) {
    let off = (got - want).abs() / want.abs().max(f64::MIN_POSITIVE);
    assert!(off <= 1e-12, "{name}: {what} is {got}, not {want}");
}

#[test]
fn schedules_have_their_digits() {
    let golden: BTreeMap<String, Vec<Row>> =
        serde_json::from_str(include_str!("golden/schedules.json")).unwrap();
    let mut seen = 0;
    for (name, rows) in &golden {
        let words: Vec<&str> = name.split(' ').collect();
        let steps: usize = words[1].parse().unwrap();
        let schedule = match words[..] {
            ["linear", _] => NoiseSchedule::linear(steps),
            ["cosine", _] => NoiseSchedule::cosine(steps),
            ["sigmoid", _] => NoiseSchedule::sigmoid(steps),
            _ => NoiseSchedule::new(steps, Betas::Cosine { offset: 0.01 }, (1e-4, 0.9999)),
        }
        .unwrap();
        for &(t, beta, log_snr, variance, of_x, of_z) in rows {
            let name = format!("{name}, step {t}");
            close(&name, "β", schedule.betas[t], beta);
            close(&name, "α", schedule.log_snr[t], log_snr);
            close(&name, "β̃", schedule.posterior_variance(t), variance);
            let (x, z) = schedule.posterior_mean_coefficients(t);
            close(&name, "the coefficient of x", x, of_x);
            close(&name, "the coefficient of z", z, of_z);
            seen += 1;
        }
    }
    assert_eq!(seen, 74);
}

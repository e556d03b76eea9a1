//! A network's clock, as files have it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::schedule::{NoiseSchedule, Time, TimeMap};

/// What tells a network the time; the known ones by name, all others step by step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Clock {
    /// 1000 linear steps.
    Ddpm,
    /// The formula of the published code.
    DdpmAsPublished,
    /// 4000 cosine steps, whose time runs to 1000.
    Iddpm,
    /// The formula of the published code.
    IddpmAsPublished,
    /// Any steps, as text, which unlike JSON's numbers is read back to the last bit.
    Steps {
        /// The log-SNR of each.
        log_snr: Vec<String>,
        /// The time from one to the next.
        scale: String,
    },
}

impl Clock {
    pub fn of(clock: &TimeMap) -> Result<Self> {
        Ok(match clock {
            TimeMap::PublishedDdpm => Self::DdpmAsPublished,
            TimeMap::PublishedIddpm => Self::IddpmAsPublished,
            known if *known == TimeMap::ddpm(Time::Exact)? => Self::Ddpm,
            known if *known == TimeMap::iddpm(Time::Exact)? => Self::Iddpm,
            TimeMap::Steps { schedule, scale } => Self::Steps {
                log_snr: schedule.log_snr.iter().map(f64::to_string).collect(),
                scale: scale.to_string(),
            },
        })
    }

    pub fn time_map(&self) -> Result<TimeMap> {
        let number = |text: &String| {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| Error::Parameter {
                name: "clock",
                got: format!("{text:?}"),
                need: "finite numbers",
            })
        };
        match self {
            Self::Ddpm => TimeMap::ddpm(Time::Exact),
            Self::DdpmAsPublished => TimeMap::ddpm(Time::AsPublished),
            Self::Iddpm => TimeMap::iddpm(Time::Exact),
            Self::IddpmAsPublished => TimeMap::iddpm(Time::AsPublished),
            Self::Steps { log_snr, scale } => {
                let log_snr = log_snr.iter().map(number).collect::<Result<_>>()?;
                Ok(TimeMap::Steps {
                    schedule: NoiseSchedule::from_log_snr(log_snr)?,
                    scale: number(scale)?,
                })
            }
        }
    }
}

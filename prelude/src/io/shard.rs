//! Shards of a curve as files.

use std::fs;
use std::path::Path;

use polars::prelude::{Column, DataFrame, NamedFrom, Series};

use super::columns::{Columns, whole};
use super::curve::{name, rule};
use super::{FromFrame, ToFrame, malformed, of_file, read, write};
use crate::curve::{
    Conditioning, CurveConfig, CurveSpec, MseCurve, PartialCurve, Shard, ShardBy, merge_shards,
    shard_unless,
};
use crate::data::Dataset;
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::logsnr::Quadrature;

/// All cuts; what is missing here cannot be read.
const CUTS: [ShardBy; 3] = [ShardBy::Both, ShardBy::Images, ShardBy::Points];

fn cut(by: ShardBy) -> &'static str {
    match by {
        ShardBy::Both => "both",
        ShardBy::Images => "images",
        ShardBy::Points => "alphas",
    }
}

fn conditioning(conditioning: Conditioning) -> &'static str {
    match conditioning {
        Conditioning::Unconditional => "unconditional",
        Conditioning::Conditional => "conditional",
    }
}

impl ToFrame for PartialCurve {
    /// One row for each point, see [`PartialCurve`].
    fn to_frame(&self) -> Result<DataFrame> {
        self.check()?;
        let Self { spec, shard, .. } = self;
        let k = spec.points.len();
        let float = |name: &str, values: &[f64]| Column::new(name.into(), values);
        let text = |name: &str, value: &str| Column::new(name.into(), vec![value; k]);
        let same = |name, value| whole(name, &vec![value; k]);
        let lists = |name: &str, lists: &mut dyn Iterator<Item = &[f64]>| {
            let lists: Vec<Series> = lists.map(|list| Series::new("".into(), list)).collect();
            Column::new(name.into(), lists)
        };
        // Without a clamp both ends are NaN.
        let (low, high) = spec.clamp.unwrap_or((f64::NAN, f64::NAN));
        let columns = vec![
            same("shard", shard.index)?,
            same("shards", shard.count)?,
            text("by", cut(shard.by)),
            whole("point", &(0..k).collect::<Vec<_>>())?,
            float("log_snr", &spec.points.log_snr),
            float("weight", &spec.points.weight),
            whole("first", &self.first())?,
            lists("error", &mut self.error.iter().map(Vec::as_slice)),
            lists("noise", &mut self.noise.iter().map(Vec::as_slice)),
            text("rule", name(spec.points.rule)),
            float("low", &vec![spec.points.interval.0; k]),
            float("high", &vec![spec.points.interval.1; k]),
            same("points", k)?,
            same("n", spec.n)?,
            same("dim", spec.dim)?,
            same("draws", spec.draws)?,
            same("batch", spec.batch)?,
            float("clamp_low", &vec![low; k]),
            float("clamp_high", &vec![high; k]),
            text("data", &spec.data),
            text("key", &spec.key),
            text("conditioning", conditioning(spec.conditioning)),
            lists(
                "fingerprint",
                &mut std::iter::repeat_n(spec.fingerprint.as_slice(), k),
            ),
        ];
        let frame = DataFrame::new(k, columns)?;
        // What cannot be read must not be written.
        Self::from_frame(&frame).map(|_| frame)
    }
}

impl FromFrame for PartialCurve {
    fn from_frame(frame: &DataFrame) -> Result<Self> {
        let columns = Columns(frame);
        let k = columns.same("points", columns.counts("points")?)?;
        let count = |name| columns.same(name, columns.counts(name)?);
        let float = |name| columns.same(name, columns.finite(name)?);
        let text = |name| columns.same(name, columns.texts(name)?);
        if !columns.counts("point")?.into_iter().eq(0..k) {
            return Err(malformed(format!(
                "the column point must count from 0 to {k}, the number of points"
            )));
        }
        let by = text("by")?;
        let by = CUTS
            .into_iter()
            .find(|&known| cut(known) == by)
            .ok_or_else(|| {
                malformed(format!(
                    "there is no cut by {by:?}, only {:?}",
                    CUTS.map(cut)
                ))
            })?;
        let ends = |name| columns.floats(name, "a number, or NaN without a clamp", |_| true);
        // Bits, since NaN is not the same as NaN.
        let end = |name| {
            let bits = ends(name)?.into_iter().map(f64::to_bits).collect();
            columns.same(name, bits).map(f64::from_bits)
        };
        let clamp = match (end("clamp_low")?, end("clamp_high")?) {
            (low, high) if low.is_nan() && high.is_nan() => None,
            (low, high) if low < high => Some((low, high)),
            (low, high) => {
                return Err(malformed(format!("there is no clamp from {low} to {high}")));
            }
        };
        let fingerprint = columns.same("fingerprint", columns.lists("fingerprint", Some(3))?)?;
        let fingerprint = <[f64; 3]>::try_from(fingerprint)
            .map_err(|values| malformed(format!("the fingerprint has {} values", values.len())))?;
        let told = text("conditioning")?;
        let told = [Conditioning::Unconditional, Conditioning::Conditional]
            .into_iter()
            .find(|&known| conditioning(known) == told)
            .ok_or_else(|| malformed(format!("there is no conditioning {told:?}")))?;
        let points = Quadrature {
            log_snr: columns.finite("log_snr")?,
            weight: columns.finite("weight")?,
            rule: rule(&text("rule")?)?,
            interval: (float("low")?, float("high")?),
        };
        let part = Self {
            spec: CurveSpec {
                points,
                n: count("n")?,
                dim: count("dim")?,
                draws: count("draws")?,
                batch: count("batch")?,
                clamp,
                data: text("data")?,
                key: text("key")?,
                conditioning: told,
                fingerprint,
            },
            shard: Shard {
                index: count("shard")?,
                count: count("shards")?,
                by,
            },
            error: columns.lists("error", None)?,
            noise: columns.lists("noise", None)?,
            file: None,
        };
        part.check()?;
        match columns.counts("first")? == part.first() {
            true => Ok(part),
            false => Err(malformed(
                "the column first does not name the samples of this shard",
            )),
        }
    }
}

impl PartialCurve {
    /// Writes the shard to a Parquet file, see [`io::write`](write()).
    ///
    /// # Errors
    /// As [`io::write`](write()).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path, self)
    }

    /// Reads a shard that [`Self::save`] wrote, and remembers where it was.
    ///
    /// # Errors
    /// As [`io::read`](read); [`Error::File`] also when the file holds something else.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let part: Self = read(path)?;
        let file = Some(path.to_owned());
        Ok(Self { file, ..part })
    }
}

/// Measures one shard of a curve into a folder, which is made; [`merge_folder`] makes the curve of them.
///
/// The file, [`Shard::file_name`], appears when the shard is whole. Where it is there already, and belongs to the
/// same run, nothing is measured: after a failure the same command goes on with what is missing.
///
/// # Errors
/// As [`mse_curve_shard`](crate::curve::mse_curve_shard); [`Error::File`] when the folder cannot be written to, or
/// what has the file's name is damaged; [`Error::Mismatch`] when it belongs to another spec. It is unchanged then.
///
/// # Example: a shard that is there is not measured again
/// ```
/// use itd_prelude::prelude::*;
/// use itd_prelude::curve::Shard;
///
/// # fn main() -> Result<()> {
/// let folder = std::env::temp_dir().join(format!("itd-shards-{}", std::process::id()));
/// let data = toy::correlated_gaussian(100, 0)?.test;
/// let net = Gaussian::standard(2)?.denoiser(data.shape())?;
/// let (points, config) = (Quadrature::trapezoid(-4.0, 4.0, 9)?, CurveConfig { batch: 10, ..Default::default() });
/// for shard in [Shard::new(1, 2)?, Shard::new(2, 2)?, Shard::new(1, 2)?] {
///     io::mse_curve_shard_to(&folder, &net, &data, &points, &config, shard)?;
/// }
/// assert_eq!(io::merge_folder(&folder)?.n, data.len());
/// # let _ = std::fs::remove_dir_all(folder);
/// # Ok(()) }
/// ```
pub fn mse_curve_shard_to(
    folder: impl AsRef<Path>,
    net: &dyn Denoiser,
    data: &Dataset,
    points: &Quadrature,
    config: &CurveConfig,
    shard: Shard,
) -> Result<PartialCurve> {
    let folder = folder.as_ref();
    let path = folder.join(shard.file_name());
    let kept = |spec: &CurveSpec| {
        // Hours of work should not end at a folder that cannot be.
        fs::create_dir_all(folder).map_err(|error| of_file(folder, error))?;
        if !path.try_exists().map_err(|error| of_file(&path, error))? {
            return Ok(None);
        }
        let kept = PartialCurve::load(&path)?;
        kept.check_spec(spec, &shard, "what is to be measured")?;
        match kept.shard == shard {
            true => Ok(Some(kept)),
            false => Err(of_file(
                &path,
                malformed(format!("it holds shard {}, not {shard}", kept.shard)),
            )),
        }
    };
    let part = shard_unless(net, data, points, config, shard, kept)?;
    if part.file.is_none() {
        part.save(&path)?;
    }
    let file = Some(path);
    Ok(PartialCurve { file, ..part })
}

/// The curve of all shards in a folder: the files `part-…-of-….parquet`.
///
/// # Errors
/// [`Error::File`] when the folder or a file in it cannot be read, [`Error::Missing`] when there are no parts in it;
/// as [`merge_shards`] otherwise, with the names of the files.
pub fn merge_folder(folder: impl AsRef<Path>) -> Result<MseCurve> {
    let folder = folder.as_ref();
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = entries.map_err(|error| of_file(folder, error))?;
    let mut paths: Vec<_> = entries
        .into_iter()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("part-") && name.contains("-of-") && name.ends_with(".parquet")
        })
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    match paths.is_empty() {
        true => Err(Error::Missing {
            what: format!("there are no parts of a curve in {}", folder.display()),
            next: "measure them with `mse_curve_shard_to`",
        }),
        false => merge_files(&paths),
    }
}

/// As [`merge_folder`], of the files with these names.
///
/// # Errors
/// As [`merge_folder`].
pub fn merge_files(paths: &[impl AsRef<Path>]) -> Result<MseCurve> {
    let parts: Result<Vec<_>> = paths.iter().map(PartialCurve::load).collect();
    merge_shards(parts?)
}

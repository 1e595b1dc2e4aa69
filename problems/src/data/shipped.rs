//! The labelled data that come with the crate (see the `NOTICE.md` beside each in `assets`).

use std::path::Path;

use super::csv::{self, CsvFormat};
use super::idx;
use super::text::Labels;
use super::{DataError, Features, LabelledData};

const DIGITS: &[u8] = include_bytes!("../../assets/digits/digits.csv.gz");

macro_rules! fashion {
    ($name:literal) => {
        (
            Path::new($name),
            &include_bytes!(concat!("../../assets/fashion_mnist/", $name))[..],
        )
    };
}

/// 1,797 handwritten digits of 8×8 pixels, with values from 0 to 1.
///
/// # Errors
/// None: the file is part of the crate, and a test reads it.
pub fn digits() -> Result<LabelledData<f64>, DataError> {
    let labels = Labels::From {
        first: 0,
        count: 10,
    };
    let path = Path::new("digits.csv.gz");
    let read = csv::parse(path, DIGITS, CsvFormat::new(labels))?;
    let Features::Dense(values) = read.features() else {
        return Ok(read);
    };
    let scaled = values.iter().map(|v| v / 16.0).collect();
    LabelledData::dense(read.columns(), scaled, read.labels().to_vec(), 10).map_err(|e| {
        DataError::Format {
            path: path.to_owned(),
            format: "CSV",
            reason: e.to_string(),
        }
    })
}

/// 5,000 training and 1,000 test images of Fashion-MNIST: 28×28 pixels with values from 0 to 1, ten classes of clothes.
///
/// # Errors
/// None: the files are part of the crate, and a test reads them.
pub fn fashion_mnist() -> Result<(LabelledData<f64>, LabelledData<f64>), DataError> {
    let train = idx::parse(
        fashion!("train-images-5000.idx3.gz"),
        fashion!("train-labels-5000.idx1.gz"),
        10,
    )?;
    let test = idx::parse(
        fashion!("t10k-images-1000.idx3.gz"),
        fashion!("t10k-labels-1000.idx1.gz"),
        10,
    )?;
    Ok((train, test))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_each_class(data: &LabelledData<f64>) -> [usize; 10] {
        let mut counts = [0; 10];
        data.labels().iter().for_each(|&l| counts[l as usize] += 1);
        counts
    }

    #[test]
    fn the_shipped_data_are_what_they_are_said_to_be() {
        let digits = digits().unwrap();
        assert_eq!((digits.samples(), digits.columns()), (1797, 64));
        assert_eq!(digits.labels()[..4], [0, 1, 2, 3]);
        assert!(
            of_each_class(&digits)
                .iter()
                .all(|n| (170..190).contains(n))
        );
        let Features::Dense(values) = digits.features() else {
            panic!("they are dense");
        };
        assert_eq!(values[2..4], [5.0 / 16.0, 13.0 / 16.0]);
        let (train, test) = fashion_mnist().unwrap();
        assert_eq!((train.samples(), test.samples()), (5000, 1000));
        assert_eq!((train.columns(), test.columns()), (784, 784));
        // The first labels of the whole data set, as published.
        assert_eq!(train.labels()[..6], [9, 0, 0, 3, 0, 2]);
        assert_eq!(test.labels()[..6], [9, 2, 1, 1, 6, 1]);
        assert!(of_each_class(&train).iter().all(|n| (440..560).contains(n)));
    }
}

//! The data sets of development, as their authors publish them.

use bilevel_problems::data::{CsvFormat, Labels, read_csv, read_idx, read_libsvm};

use crate::files::data_that_do_not_ship as data;

#[test]
#[ignore = "needs data that do not ship: set BILEVEL_DATA"]
fn the_data_sets_of_development_are_read() {
    let libsvm = |name: &str, columns, labels| {
        let table = read_libsvm(data(name), columns, labels).unwrap();
        (table.samples(), table.columns())
    };
    let signs = Labels::Signs;
    let ijcnn1 = libsvm("libsvm/ijcnn1.gz", None, signs);
    assert_eq!(ijcnn1, (49_990, 22));
    let other = libsvm("libsvm/ijcnn1.t.gz", Some(22), signs);
    assert_eq!(other, (91_701, 22));
    assert_eq!(libsvm("libsvm/a9a.gz", None, signs), (32_561, 123));
    assert_eq!(libsvm("libsvm/a9a.t.gz", Some(123), signs), (16_281, 123));
    let groups = Labels::From {
        first: 1,
        count: 20,
    };
    let news = |part: &str| {
        libsvm(
            &format!("20news/20news_counts.{part}.libsvm.gz"),
            Some(130_108),
            groups,
        )
    };
    assert_eq!(news("train"), (11_314, 130_108));
    assert_eq!(news("test"), (7_532, 130_108));
    let covers = Labels::From { first: 1, count: 7 };
    let path = data("covtype/covtype_20k.csv.gz");
    let table = read_csv(path, CsvFormat::new(covers)).unwrap();
    assert_eq!((table.samples(), table.columns()), (20_000, 54));
    let mnist = |part: &str, kind: &str| data(&format!("mnist/{part}-{kind}-ubyte.gz"));
    let test = read_idx(
        mnist("t10k", "images-idx3"),
        mnist("t10k", "labels-idx1"),
        10,
    )
    .unwrap();
    assert_eq!((test.samples(), test.columns()), (10_000, 784));
}

//! Whether arrays are a matrix.
#![no_main]

use diffrec::csr::CsrView;
use diffrec_fuzz::Rows;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Rows, u16, bool)| {
    let (matrix, rows, signed) = (input.0.csr(), usize::from(input.1), input.2);
    let rows = if rows < 256 { rows } else { matrix.rows() };
    let make = if signed { CsrView::signed } else { CsrView::new };
    if let Ok(view) = make(&matrix.indptr, &matrix.indices, &matrix.data, (rows, matrix.columns)) {
        // What is sound can be walked through.
        for row in 0..view.rows() {
            let (columns, values) = view.row(row);
            assert_eq!(columns.len(), values.len());
            assert!(columns.iter().all(|&column| (column as usize) < matrix.columns));
            assert!(values.iter().all(|value| value.is_finite() && (signed || *value >= 0.0)));
        }
    }
});

//! Shared data of one process without a proxy: for tests, simulations and `jetway explain`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::store::{ABSENT, SharedData};

/// A table in memory that behaves like the shared data of proxy-wasm.
#[derive(Debug, Default)]
pub struct LocalShared {
    table: RefCell<Table>,
}

#[derive(Debug, Default)]
struct Table {
    values: BTreeMap<String, (Vec<u8>, u32)>,
    last_version: u32,
}

impl SharedData for LocalShared {
    fn read(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.table.borrow().values.get(key).cloned()
    }

    fn write(&self, key: &str, value: &[u8], version: u32) -> bool {
        let mut table = self.table.borrow_mut();
        let present = table.values.get(key).map_or(ABSENT, |(_, known)| *known);
        if present != version {
            return false;
        }
        table.last_version += 1;
        let entry = (value.to_vec(), table.last_version);
        table.values.insert(key.to_owned(), entry);
        true
    }
}

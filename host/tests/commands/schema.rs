//! `jetway schema`.

use anyhow::Result;
use serde_json::Value;

use super::jetway;

#[test]
fn it_is_a_json_schema_of_the_file() -> Result<()> {
    let ended = jetway(&["schema"])?;
    assert_eq!(ended.code, Some(0));
    let schema: Value = serde_json::from_str(&ended.out)?;
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(
        schema["properties"]["routes"]["items"]["$ref"],
        "#/$defs/route"
    );
    assert!(schema["$defs"]["route"]["properties"]["from"].is_object());
    Ok(())
}

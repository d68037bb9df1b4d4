//! What a plugin is started with.

/// Everything the plugin is told at its start. Not `Debug`, as it holds secrets.
pub struct PluginSettings {
    /// Property `plugin_name`.
    pub name: String,
    /// Property `plugin_root_id`.
    pub root_id: String,
    /// Property `plugin_vm_id`.
    pub vm_id: String,
    /// The plugin configuration (buffer 7).
    pub configuration: Vec<u8>,
    /// The plugin's environment: the only variables that it sees.
    pub variables: Vec<(String, Vec<u8>)>,
}

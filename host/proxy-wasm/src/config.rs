//! The configuration of one plugin.

/// The configuration of one plugin. It is not `Debug`, as it holds secrets.
#[derive(Clone, Default)]
pub struct PluginConfig {
    /// Property `plugin_name`.
    pub name: String,
    /// Property `plugin_root_id`.
    pub root_id: String,
    /// Property `plugin_vm_id`.
    pub vm_id: String,
    /// The configuration of the virtual machine (buffer 6), which `proxy_on_vm_start` reads.
    pub vm_configuration: Vec<u8>,
    /// The plugin configuration (buffer 7), which `proxy_on_configure` reads.
    pub configuration: Vec<u8>,
    /// The environment of the plugin, which sees no other variables.
    pub variables: Vec<(String, Vec<u8>)>,
}

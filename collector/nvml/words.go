package nvml

import "strings"

// recoveryActions are what a GPU may need, in the order of NVML's numbers (FI 230). Newer headers have more numbers.
var recoveryActions = []string{"none", "reset", "reboot", "drain", "drain_and_reset"}

// recoveryWords are the words that nvidia-smi of different ages has for them.
var recoveryWords = map[string]string{
	"None": "none", "Reset": "reset", "GPU Reset": "reset", "Reboot": "reboot", "Node Reboot": "reboot",
	"Drain P2P": "drain", "Drain and Reset": "drain_and_reset",
}

// throttleReasons are the bits of why clocks are held down, by their reason and by the end of the name of their element.
// Bit 1 says that the GPU is idle, which is not throttling.
var throttleReasons = [...]struct {
	bit             uint64
	reason, element string
}{
	{0x2, "clocks_setting", "applications_clocks_setting"},
	{0x4, "power", "sw_power_cap"},
	{0x8, "hardware_slowdown", "hw_slowdown"},
	{0x10, "sync_boost", "sync_boost"},
	{0x20, "thermal", "sw_thermal_slowdown"},
	{0x40, "hardware_thermal", "hw_thermal_slowdown"},
	{0x80, "power_brake", "hw_power_brake_slowdown"},
	{0x100, "display", "display_clocks_setting"},
}

const (
	idleBit     = 0x1
	idleElement = "gpu_idle"
	// eightReasons can be told where the driver does not say which can.
	eightReasons = 0x1fe
)

// modes are the labels of gpu_mode_info that NVIDIA has, by their place among its labels.
const (
	modePersistence = iota
	modeCompute
	modeMIG
	modeDriverModel
	modeLabels = 6 // performance_level and power_profile are others' words
)

var (
	onOff         = []string{"disabled", "enabled"}
	computeModes  = []string{"default", "exclusive_thread", "prohibited", "exclusive_process"}
	driverModels  = []string{"wddm", "tcc", "mcdm"}
	fabricStates  = []string{"", "not_started", "in_progress", "completed"} // 0: the GPU has no fabric
	fabricSuccess = "success"
)

// codeWords are the names of the codes that the status of a fabric may be.
var codeWords = map[Return]string{
	Success: fabricSuccess, Uninitialized: "uninitialized", InvalidArgument: "invalid_argument", NotSupported: "not_supported",
	NoPermission: "no_permission", NotFound: "not_found", InsufficientSize: "insufficient_size",
	InsufficientPower: "insufficient_power", DriverNotLoaded: "driver_not_loaded", 10: "timeout", IRQIssue: "irq_issue",
	LibraryNotFound: "library_not_found", FunctionNotFound: "function_not_found", 14: "corrupted_inforom",
	GPUIsLost: "gpu_is_lost", ResetRequired: "reset_required", OperatingSystem: "operating_system",
	LibRMMismatch: "library_driver_version_mismatch", 19: "in_use", 20: "memory", NoData: "no_data", 23: "resources",
	VersionMismatch: "version_of_struct", Deprecated: "deprecated", NotReady: "not_ready", 29: "state", Unknown: "unknown",
}

// word is a text of nvidia-smi as a label value.
func word(text string) string { return strings.ReplaceAll(strings.ToLower(text), " ", "_") }

// at is words[n], empty where there is none.
func at(words []string, n float64) string {
	for i, w := range words {
		if float64(i) == n {
			return w
		}
	}
	return ""
}

package collector

import "time"

// Result is how the read of one device in one cycle ended, a value of the label result of gpu_exporter_reads_total.
type Result string

// The results.
const (
	ResultOK      Result = "ok"      // everything that the device has, or left alone on purpose
	ResultPartial Result = "partial" // some of it failed
	ResultAsleep  Result = "asleep"
	ResultError   Result = "error"   // gone, or awake and all of it failed
	ResultTimeout Result = "timeout" // no answer by the deadline
)

// Results lists every Result.
var Results = [...]Result{ResultOK, ResultPartial, ResultAsleep, ResultError, ResultTimeout}

// RestartReason is a value of the label reason of gpu_exporter_worker_restarts_total.
type RestartReason string

// The reasons why a worker or a child process is replaced.
const (
	RestartCrash         RestartReason = "crash"
	RestartTimeout       RestartReason = "timeout"
	RestartStuck         RestartReason = "stuck"
	RestartProtocol      RestartReason = "protocol"
	RestartSleep         RestartReason = "sleep"
	RestartDriverChanged RestartReason = "driver_changed"
)

// RestartReasons lists every RestartReason.
var RestartReasons = [...]RestartReason{
	RestartCrash, RestartTimeout, RestartStuck, RestartProtocol, RestartSleep, RestartDriverChanged,
}

// Observer is told what the Poller does, as the exporter's own metrics count it. source is Info.Source. Its methods
// are called from one goroutine and must not block.
type Observer interface {
	// Read is called once per device and cycle. took is the duration of the read, up to now where it did not end.
	Read(source string, result Result, took time.Duration)
	// Failed is called once for each Failure when it happens, not when a slow group repeats it.
	Failed(source string, kind FailureKind)
	// Rejected is called for each value outside its bounds.
	Rejected(source string, q QuantityID)
	// Restarted is called when a worker or a child process was replaced.
	Restarted(source string, reason RestartReason)
	// Rescanned is called when a discovery has ended; ok says that no probe had an error.
	Rescanned(ok bool)
}

package nvml

import "gpu_exporter/collector"

// What the tests outside of the package have of its kit. They are outside because what they import imports the package.
var (
	FirstReading = firstReading
	Matching     = matching
	Meets        = meets
)

// Boards are the GPUs of FirstReading.
type Boards = boards

// NewBoard is one of them.
func NewBoard(info collector.Info, read func(*collector.Reading) error) board {
	return board{info, read}
}

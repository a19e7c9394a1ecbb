//go:build !windows

package collector

// DriverLog is where drivers complain on this system.
const DriverLog = "dmesg"

// hintPermission is what to do where a right is missing.
const hintPermission = "everybody may read these files on an ordinary kernel: look for a mode that was changed, and at the AppArmor or SELinux profile and the masked paths of the container or unit; CAP_DAC_READ_SEARCH gets past modes"

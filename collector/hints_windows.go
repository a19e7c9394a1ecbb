package collector

// DriverLog is where drivers complain on this system.
const DriverLog = "the Event Viewer (Windows Logs, System)"

// hintPermission is what to do where a right is missing.
const hintPermission = "an ordinary user may read this: look at the account that the exporter runs as, and on a server make it a member of the group Performance Monitor Users"

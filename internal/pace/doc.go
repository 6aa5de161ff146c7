// Package pace keeps work in the background, such as reading all of the data for a
// backup, to a number of bytes a second, so that what somebody waits for finds the
// disk and the processor free.
package pace

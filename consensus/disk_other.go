//go:build !linux && !darwin

package consensus

// diskOf cannot measure here: the space counts as unknown and holds nothing back.
func diskOf(string) (free, total uint64, err error) { return 0, 0, nil }

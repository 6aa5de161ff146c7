package store

import (
	"encoding/binary"
	"hash/crc32"
)

// crcSize is how many bytes follow each value in the file.
const crcSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// tableSeed is where the checksums of a table's rows start from, so that a row
// read from the wrong table does not pass.
func tableSeed(name string) uint32 {
	return crc32.Checksum([]byte(name), castagnoli)
}

// rowSum is the checksum of a row. The key's length is in what it starts from,
// so that no bytes can move between key and value: from two different starts
// the same bytes never lead to the same sum.
func rowSum(seed uint32, key, value []byte) uint32 {
	sum := crc32.Update(seed^uint32(len(key)), castagnoli, key)
	return crc32.Update(sum, castagnoli, value)
}

// sealRow writes the checksum behind the value, into the capacity that every
// stored value has for it, and returns both as they go to the file.
func sealRow(seed uint32, key, value []byte) []byte {
	return binary.LittleEndian.AppendUint32(value, rowSum(seed, key, value))
}

// openRow returns the value of a row as it was in the file, not nil. It is
// false if the checksum does not match.
func openRow(seed uint32, key, raw []byte) ([]byte, bool) {
	n := len(raw) - crcSize
	if n < 0 || binary.LittleEndian.Uint32(raw[n:]) != rowSum(seed, key, raw[:n]) {
		return nil, false
	}
	return raw[:n:n], true
}

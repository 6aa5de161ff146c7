package wire

import "encoding/binary"

// AppendUint appends a varint field; not 0, which stands for an absent field.
func AppendUint(dst []byte, number uint32, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(appendTag(dst, number, typeVarint), v)
}

// AppendBool appends a varint field of 1, and nothing for false.
func AppendBool(dst []byte, number uint32, v bool) []byte {
	if !v {
		return dst
	}
	return AppendUint(dst, number, 1)
}

// SizeUint returns how many bytes AppendUint appends.
func SizeUint(number uint32, v uint64) int {
	if v == 0 {
		return 0
	}
	return sizeUvarint(uint64(number)<<3) + sizeUvarint(v)
}

// AppendBytes appends a length-delimited field; not an empty one, which stands for an
// absent field.
func AppendBytes[T ~string | ~[]byte](dst []byte, number uint32, v T) []byte {
	if len(v) == 0 {
		return dst
	}
	return AppendMessage(dst, number, v)
}

// AppendMessage is AppendBytes for a message, which may be empty.
func AppendMessage[T ~string | ~[]byte](dst []byte, number uint32, v T) []byte {
	return AppendText(appendTag(dst, number, typeBytes), v)
}

func appendTag(dst []byte, number uint32, typ uint64) []byte {
	return binary.AppendUvarint(dst, uint64(number)<<3|typ)
}

func sizeUvarint(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

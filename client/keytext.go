package client

import (
	"fmt"
	"strconv"

	"github.com/edri-io/edri/api/edriv1"
)

// String says for people what is asked, such as `orders/7 exists`.
func (c KeyCondition) String() string {
	m := c.message
	key := m.GetBucket() + "/" + m.GetKey()
	switch condition := m.GetCondition().(type) {
	case *edriv1.CompareKey_Revision:
		return fmt.Sprintf("%s at revision %d", key, condition.Revision)
	case *edriv1.CompareKey_Exists:
		if condition.Exists {
			return key + " exists"
		}
		return key + " does not exist"
	case *edriv1.CompareKey_Value:
		return key + " is " + strconv.Quote(string(condition.Value))
	}
	return key
}

// String says for people what is done, such as `put orders/7`.
func (s KeyStep) String() string {
	key := func(bucket, key string, revision *uint64) string {
		if revision != nil {
			return fmt.Sprintf("%s/%s at revision %d", bucket, key, *revision)
		}
		return bucket + "/" + key
	}
	switch op := s.message.GetOp().(type) {
	case *edriv1.KeyOp_Put:
		return "put " + key(op.Put.Bucket, op.Put.Key, op.Put.Revision)
	case *edriv1.KeyOp_Delete:
		return "delete " + key(op.Delete.Bucket, op.Delete.Key, op.Delete.Revision)
	case *edriv1.KeyOp_Get:
		return "get " + key(op.Get.Bucket, op.Get.Key, nil)
	}
	return "nothing"
}

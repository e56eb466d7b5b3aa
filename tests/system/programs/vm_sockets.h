// What these programs need of <linux/vm_sockets.h>, which musl-gcc does not find.
#pragma once
#include <sys/socket.h>

#define VMADDR_CID_ANY (-1U)
#define VMADDR_CID_HOST 2
#define IOCTL_VM_SOCKETS_GET_LOCAL_CID 0x7B9
struct sockaddr_vm {
    sa_family_t svm_family;
    unsigned short svm_reserved1;
    unsigned svm_port;
    unsigned svm_cid;
    unsigned char svm_zero[4];
};

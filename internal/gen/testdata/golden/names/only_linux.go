package names

const onLinux = true

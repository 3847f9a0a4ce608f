// A device of type GPU for TensorFlow on machines that have none: its memory is the CPU's, its kernels
// are those of libfastgen_core over tests/cuda/on_cpu. So the GPU half of the op library runs in tests.
//
// Its memory can be touched while a kernel or a copy of the device runs, and at no other time: what
// would read or write a GPU's memory from the host is a segmentation fault here, too. TensorFlow's own
// kernels for "any device" do so with variables: on_cpu_guard(0) lets them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <map>
#include <mutex>

#include "on_cpu/access.h"
#include "tensorflow/c/experimental/stream_executor/stream_executor.h"

namespace {

constexpr int64_t kBytes = int64_t{512} << 20;

std::recursive_mutex& lock() {
  static std::recursive_mutex mutex;
  return mutex;
}
std::map<void*, size_t>& chunks() {
  static std::map<void*, size_t> all;
  return all;
}
int depth = 0;  // of those who may touch the memory

void protect(int how) {
  for (auto& [memory, bytes] : chunks()) mprotect(memory, bytes, how);
}

void allocate(const SP_Device*, uint64_t size, int64_t, SP_DeviceMemoryBase* memory) {
  const std::lock_guard<std::recursive_mutex> held(lock());
  const int how = depth ? PROT_READ | PROT_WRITE : PROT_NONE;
  void* const where = mmap(nullptr, size, how, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memory->struct_size = SP_DEVICE_MEMORY_BASE_STRUCT_SIZE;
  memory->opaque = where == MAP_FAILED ? nullptr : where;
  memory->size = memory->opaque ? size : 0;
  if (memory->opaque) chunks()[where] = size;
}
void deallocate(const SP_Device*, SP_DeviceMemoryBase* memory) {
  const std::lock_guard<std::recursive_mutex> held(lock());
  munmap(memory->opaque, memory->size);
  chunks().erase(memory->opaque);
}
void* allocate_on_host(const SP_Device*, uint64_t size) {
  return aligned_alloc(64, (size + 63) / 64 * 64);  // what Eigen asks of a tensor
}
void deallocate_on_host(const SP_Device*, void* memory) { free(memory); }
TF_Bool allocator_stats(const SP_Device*, SP_AllocatorStats*) { return 0; }
TF_Bool memory_usage(const SP_Device*, int64_t* free, int64_t* total) {
  *free = *total = kBytes;
  return 1;
}

// Everything is done when it is asked for, so that one stream and one event stand for all.
void create_stream(const SP_Device*, SP_Stream* stream, TF_Status*) {
  *stream = reinterpret_cast<SP_Stream>(1);
}
void destroy_stream(const SP_Device*, SP_Stream) {}
void depend(const SP_Device*, SP_Stream, SP_Stream, TF_Status*) {}
void stream_status(const SP_Device*, SP_Stream, TF_Status*) {}
void create_event(const SP_Device*, SP_Event* event, TF_Status*) {
  *event = reinterpret_cast<SP_Event>(1);
}
void destroy_event(const SP_Device*, SP_Event) {}
SE_EventStatus event_status(const SP_Device*, SP_Event) { return SE_EVENT_COMPLETE; }
void record_event(const SP_Device*, SP_Stream, SP_Event, TF_Status*) {}
void wait_for_event(const SP_Device*, SP_Stream, SP_Event, TF_Status*) {}
void block_for_event(const SP_Device*, SP_Event, TF_Status*) {}
void block_until_done(const SP_Device*, SP_Stream, TF_Status*) {}
void synchronize(const SP_Device*, TF_Status*) {}
void create_timer(const SP_Device*, SP_Timer* timer, TF_Status*) {
  *timer = reinterpret_cast<SP_Timer>(1);
}
void destroy_timer(const SP_Device*, SP_Timer) {}
void time(const SP_Device*, SP_Stream, SP_Timer, TF_Status*) {}
uint64_t nanoseconds(SP_Timer) { return 0; }

void copy(void* to, const void* from, uint64_t size) {
  const on_cpu::Access access;
  memcpy(to, from, size);
}
void fill(SP_DeviceMemoryBase* memory, uint8_t byte, uint64_t size) {
  const on_cpu::Access access;
  memset(memory->opaque, byte, size);
}
void fill_words(SP_DeviceMemoryBase* memory, uint32_t word, uint64_t size) {
  const on_cpu::Access access;
  for (uint64_t i = 0; i < size / 4; ++i) static_cast<uint32_t*>(memory->opaque)[i] = word;
}
TF_Bool call_back(const SP_Device*, SP_Stream, SE_StatusCallbackFn function, void* argument) {
  function(argument, nullptr);
  return 1;
}

void create_executor(const SP_Platform*, SE_CreateStreamExecutorParams* params, TF_Status*) {
  typedef const SP_Device* Device;
  typedef SP_DeviceMemoryBase Memory;
  SP_StreamExecutor* const x = params->stream_executor;
  x->struct_size = SP_STREAMEXECUTOR_STRUCT_SIZE;
  x->allocate = allocate, x->deallocate = deallocate;
  x->host_memory_allocate = allocate_on_host, x->host_memory_deallocate = deallocate_on_host;
  x->get_allocator_stats = allocator_stats, x->device_memory_usage = memory_usage;
  x->create_stream = create_stream, x->destroy_stream = destroy_stream;
  x->create_stream_dependency = depend, x->get_stream_status = stream_status;
  x->create_event = create_event, x->destroy_event = destroy_event;
  x->get_event_status = event_status, x->record_event = record_event;
  x->wait_for_event = wait_for_event, x->block_host_for_event = block_for_event;
  x->block_host_until_done = block_until_done, x->synchronize_all_activity = synchronize;
  x->create_timer = create_timer, x->destroy_timer = destroy_timer;
  x->start_timer = time, x->stop_timer = time;
  x->memcpy_dtoh = [](Device, SP_Stream, void* to, const Memory* from, uint64_t size, TF_Status*) {
    copy(to, from->opaque, size);
  };
  x->memcpy_htod = [](Device, SP_Stream, Memory* to, const void* from, uint64_t size, TF_Status*) {
    copy(to->opaque, from, size);
  };
  x->memcpy_dtod = [](Device, SP_Stream, Memory* to, const Memory* from, uint64_t size,
                      TF_Status*) { copy(to->opaque, from->opaque, size); };
  x->sync_memcpy_dtoh = [](Device, void* to, const Memory* from, uint64_t size, TF_Status*) {
    copy(to, from->opaque, size);
  };
  x->sync_memcpy_htod = [](Device, Memory* to, const void* from, uint64_t size, TF_Status*) {
    copy(to->opaque, from, size);
  };
  x->sync_memcpy_dtod = [](Device, Memory* to, const Memory* from, uint64_t size, TF_Status*) {
    copy(to->opaque, from->opaque, size);
  };
  x->mem_zero = [](Device, SP_Stream, Memory* at, uint64_t size, TF_Status*) { fill(at, 0, size); };
  x->memset = [](Device, SP_Stream, Memory* at, uint8_t byte, uint64_t size, TF_Status*) {
    fill(at, byte, size);
  };
  x->memset32 = [](Device, SP_Stream, Memory* at, uint32_t word, uint64_t size, TF_Status*) {
    fill_words(at, word, size);
  };
  x->host_callback = call_back;
}

void device_count(const SP_Platform*, int* count, TF_Status*) { *count = 1; }
void create_device(const SP_Platform*, SE_CreateDeviceParams* params, TF_Status*) {
  params->device->struct_size = SP_DEVICE_STRUCT_SIZE;
  params->device->hardware_name = "fastgen's CUDA kernels on the CPU";
}
void destroy_device(const SP_Platform*, SP_Device*) {}
void create_device_fns(const SP_Platform*, SE_CreateDeviceFnsParams* params, TF_Status*) {
  params->device_fns->struct_size = SP_DEVICE_FNS_STRUCT_SIZE;
}
void destroy_device_fns(const SP_Platform*, SP_DeviceFns*) {}
void destroy_executor(const SP_Platform*, SP_StreamExecutor*) {}
void create_timer_fns(const SP_Platform*, SP_TimerFns* timer, TF_Status*) {
  timer->nanoseconds = nanoseconds;
}
void destroy_timer_fns(const SP_Platform*, SP_TimerFns*) {}
void destroy_platform(SP_Platform*) {}
void destroy_platform_fns(SP_PlatformFns*) {}

}  // namespace

namespace on_cpu {

void begin_access() {
  lock().lock();
  if (depth++ == 0) protect(PROT_READ | PROT_WRITE);
}
void end_access() {
  if (--depth == 0) protect(PROT_NONE);
  lock().unlock();
}

}  // namespace on_cpu

// For what runs kernels and is not linked with this.
extern "C" __attribute__((visibility("default"))) void on_cpu_begin_access() {
  on_cpu::begin_access();
}
extern "C" __attribute__((visibility("default"))) void on_cpu_end_access() { on_cpu::end_access(); }

extern "C" __attribute__((visibility("default"))) void on_cpu_guard(int on) {
  static bool open = false;
  if (open == !on) return;
  open = !on;
  const std::lock_guard<std::recursive_mutex> held(lock());
  depth += open ? 1 : -1;
  protect(depth ? PROT_READ | PROT_WRITE : PROT_NONE);
}

extern "C" __attribute__((visibility("default"))) void SE_InitPlugin(
    SE_PlatformRegistrationParams* params, TF_Status*) {
  params->struct_size = SE_PLATFORM_REGISTRATION_PARAMS_STRUCT_SIZE;
  params->major_version = SE_MAJOR;
  params->minor_version = SE_MINOR;
  params->patch_version = SE_PATCH;
  params->platform->struct_size = SP_PLATFORM_STRUCT_SIZE;
  params->platform->name = "CUDA_ON_CPU";
  params->platform->type = "GPU";
  params->platform->use_bfc_allocator = 1;
  params->platform->force_memory_growth = 1;
  SP_PlatformFns* const fns = params->platform_fns;
  fns->struct_size = SP_PLATFORM_FNS_STRUCT_SIZE;
  fns->get_device_count = device_count;
  fns->create_device = create_device, fns->destroy_device = destroy_device;
  fns->create_device_fns = create_device_fns, fns->destroy_device_fns = destroy_device_fns;
  fns->create_stream_executor = create_executor, fns->destroy_stream_executor = destroy_executor;
  fns->create_timer_fns = create_timer_fns, fns->destroy_timer_fns = destroy_timer_fns;
  params->destroy_platform = destroy_platform;
  params->destroy_platform_fns = destroy_platform_fns;
}

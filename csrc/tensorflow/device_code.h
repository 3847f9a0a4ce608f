// PTX, or machine code, that was made in Python, by the keys under which graphs name it.
#pragma once
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tensorflow/driver.h"
#include "tensorflow/glue.h"

namespace fastgen {

// Never forgotten. The driver makes machine code of PTX when it is first loaded or run on a GPU.
class DeviceCode {
 public:
  DeviceCode(std::string name, std::string entry, std::string code)
      : name_(std::move(name)), entry_(std::move(entry)), code_(std::move(code)) {}

  // Loads it for the GPU of the op; Unimplemented where the driver cannot use it.
  absl::Status load(OpKernelContext* ctx);

  // Starts it on the stream of the op, with a thread for each of so many pieces of work, or for
  // several. Parameters are of 8 bytes each.
  absl::Status launch(OpKernelContext* ctx, int64_t work, std::vector<int64_t> parameters);

 private:
  absl::Status named(const absl::Status& status) const;
  absl::Status load_for(driver::Stream stream);
  absl::Status start(driver::Stream stream, int64_t work, std::vector<int64_t>* parameters);
  absl::Status function_in(const driver::Functions& driver, driver::Context context,
                           driver::Function* function);

  const std::string name_, entry_, code_;
  std::mutex mutex_;
  std::map<driver::Context, driver::Function> functions_;
};

// The code of a key for GPUs; an error where this process has none.
absl::Status find_device_code(const std::string& key, DeviceCode** found);

}  // namespace fastgen
